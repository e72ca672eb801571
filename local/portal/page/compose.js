// The composer: a request in one of the forms that callers send, changed as one likes, sent once or many times.

import { $, badge, copyButton, duration, el, note, placeOf, say, visible } from './dom.js';
import { commandLine } from './copies.js';
import { rows } from './rows.js';
import { search } from './search.js';
import { ask, once } from './server.js';
import { view } from './view.js';
import { matches } from './words.js';

const profile = { user_id: 'auth0|{{id}}', email: 'jane@example.com', email_verified: false, tenant: 'acme', created_at: '{{now}}', app_metadata: {} };

const forms = {
  id: { userId: 'auth0|{{id}}' },
  user: profile,
  cloudevent: {
    specversion: '1.0', type: 'user.created', id: 'evt_{{id}}', source: 'urn:auth0:acme.eu.auth0.com', time: '{{now}}', a0tenant: 'acme',
    data: { object: { user_id: 'auth0|{{id}}', created_at: '{{now}}' } },
  },
  article: { userId: 'auth0|{{id}}' },
  kafkarest: { value: JSON.stringify(profile) },
  own: null,
};

function choose() {
  const form = forms[$('form').value];
  if (form) $('body').value = JSON.stringify(form, null, $('form').value === 'article' || $('form').value === 'kafkarest' ? 0 : 2);
  $('form-about').textContent = $('form').selectedOptions[0].dataset.about ?? '';
}

const order = (count) => ({
  body: $('body').value, contentType: $('content-type').value, idempotencyKey: $('idempotency-key').value.trim(), withoutKey: $('without-key').checked, count,
});

async function send(what, where) {
  where.replaceChildren(badge('plain', 'Sending …'));
  try {
    const report = await ask('/send', { method: 'POST', body: JSON.stringify(what) });
    const [tone, text] = outcomeOf(report);
    where.replaceChildren(badge(tone, text), ...hiddenByFilter(report));
    if (where === $('sent')) showAnswer(report);
    say(text);
  } catch (error) {
    const text = error.status ? error.message : 'The program behind this page does not answer.';
    where.replaceChildren(badge('bad', text));
    say(text);
  }
}

function outcomeOf({ statuses, first, tookMs }) {
  const all = Object.entries(statuses);
  const count = all.reduce((sum, [, n]) => sum + n, 0);
  if (count > 1) {
    const bad = all.some(([status]) => !status.startsWith('2'));
    return [bad ? 'bad' : statuses['202'] ? 'warn' : 'good', `${all.map(([status, n]) => `${n} × ${status}`).join(', ')} in ${duration(tookMs)}`];
  }
  const answer = read(first.answer);
  if (first.status === 200 && answer?.topic) return ['good', `Stored as ${placeOf(answer)}`];
  if (first.status === 202) return ['warn', 'Kept in the outbox until Kafka accepts it'];
  if (first.status === 200) return ['plain', 'Answered 200'];
  return ['bad', `${first.status}: ${answer?.detail ?? (first.status === 401 ? 'the function\'s key is missing or wrong' : 'not stored')}`];
}

function read(json) {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

// hiddenByFilter says where the search keeps the new ones out of the list.
function hiddenByFilter({ first }) {
  if (!view.query) return [];
  const userId = read(first.body)?.userId;
  const row = rows.all.find((candidate) => userId && candidate.userId === userId);
  if (row && matches(row, view.terms)) return [];
  return [el('span', { class: 'muted' }, 'The search may hide it.'), el('button', { type: 'button', class: 'link', click: () => search('') }, 'Show all')];
}

function showAnswer({ first }) {
  note($('answer-about'), `The first answer: ${first.status || 'none'}`);
  $('answer').hidden = !first.answer;
  $('answer').textContent = visible(JSON.stringify(read(first.answer), null, 2) ?? first.answer);
}

// filled is the body with an id as the server would put it in.
function filled(text) {
  const id = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return text.replaceAll('{{id}}', id).replaceAll('{{now}}', new Date().toISOString());
}

$('form').addEventListener('change', choose);
$('body').addEventListener('input', () => { $('form').value = 'own'; choose(); });
for (const button of document.querySelectorAll('[data-count]')) {
  button.addEventListener('click', () => once(button, () => send(order(Number(button.dataset.count)), $('sent'))));
}
$('send-row').append(copyButton('Copy as curl', () => {
  const { body, ...rest } = order(1);
  return commandLine(filled(body), { ...rest, idempotencyKey: filled(rest.idempotencyKey) });
}));
$('how-row').append(copyButton('Copy the line', () => $('curl').textContent));
const shownFor = 15_000; // what became of a test user
let fading;
$('register').addEventListener('click', () => once($('register'), async () => {
  clearTimeout(fading);
  await send({ body: '{"userId":"auth0|{{id}}"}', contentType: 'application/json', count: 1 }, $('registered'));
  fading = setTimeout(() => $('registered').replaceChildren(), shownFor);
}));
choose();
