// What can be switched and sent: the broker, a test user.

import { $, badge, note, placeOf, say } from './dom.js';
import { search } from './search.js';
import { ask, single } from './server.js';
import { view } from './view.js';

export const loadState = single(async () => {
  const state = await ask('/state');
  $('place').textContent = state.brokers ? ` · Kafka at ${state.brokers.join(', ')}` : '';
  $('topic').textContent = `of ${state.topic}`;
  $('broker').hidden = !state.broker;
  if (state.broker) showSwitch(state.broker.running);
  const nothing = state.items === 0;
  const how = state.curl ? 'Register a test user, or send one from a terminal.' : 'No function is running here (yet); the terminal says more.';
  note($('nothing'), nothing ? `Nothing registered yet. ${how}` : '');
  $('try').hidden = $('how').hidden = !state.curl;
  if (nothing !== view.nothing) $('how').open = nothing; // folded away once it is known how
  view.nothing = nothing;
  $('register').classList.toggle('first', nothing);
  $('curl').textContent = state.curl ?? '';
});

function showSwitch(running) {
  const was = $('switch').getAttribute('aria-checked');
  $('switch').setAttribute('aria-checked', String(running));
  $('broker-state').textContent = running ? 'running' : 'stopped';
  if ($('broker').dataset.known && was !== String(running)) say(`The Kafka broker is ${running ? 'running' : 'stopped'}.`);
  $('broker').dataset.known = 'yes';
}

// once does what a button is for, and ignores it meanwhile. The button keeps the focus, which disabled ones lose.
export async function once(button, work) {
  if (button.ariaDisabled === 'true') return;
  button.ariaDisabled = 'true';
  await work();
  button.ariaDisabled = 'false';
}

export async function switchBroker() {
  const running = $('switch').getAttribute('aria-checked') !== 'true';
  $('broker-state').textContent = running ? 'starting …' : 'stopping …';
  try {
    const state = await ask('/broker', { method: 'PUT', body: JSON.stringify({ running }) });
    showSwitch(state.running);
  } catch (error) {
    say(`The broker was not switched: ${error.message}`);
    loadState();
  }
}

function outcomeOf(status, answer) {
  if (status === 200) return ['good', `Stored as ${placeOf(answer)}`];
  if (status === 202) return ['warn', 'Kept in the outbox until Kafka can be reached'];
  return ['bad', `${status}: ${answer?.detail ?? 'not stored'}`];
}

export async function register() {
  $('registered').replaceChildren(badge('plain', 'Registering …'));
  try {
    const { userId, status, answer } = await ask('/register', { method: 'POST', body: '{}' });
    const [tone, text] = outcomeOf(status, answer);
    $('registered').replaceChildren(badge(tone, text));
    say(text);
    search(userId);
  } catch (error) {
    $('registered').replaceChildren(badge('bad', error.message));
    say(error.message);
  }
}
