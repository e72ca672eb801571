// The outbox: events that wait for Kafka, those that it took since, and messages that were given up.

import { $, badge, cell, copyButton, duration, el, facts, mono, note, placeOf, say, sayWhenCalm, shown, update, visible, when } from './dom.js';
import { takeOutage } from './outage.js';
import { openButton } from './records.js';
import { ask, once, single } from './server.js';
import { drawStrip, queues } from './strip.js';

let told = { waiting: 0, poisoned: 0 }; // what was said last

export const loadOutbox = single(async () => {
  const outbox = await ask('/outbox');
  const { readable, reason, waiting, poisoned, events, messages, drained } = outbox;
  Object.assign(queues, { readable, waiting, poisoned });
  drawStrip();
  takeOutage(outbox.outage);
  $('outbox-counts').replaceChildren(
    waiting ? badge('warn', `${waiting} waiting`) : '',
    poisoned ? badge('bad', `${poisoned} poisoned`) : '');
  const known = waiting + poisoned > 0;
  note($('outbox-unreadable'), readable ? '' : `${reason}.${known ? ' This was seen before.' : ''}`);
  note($('outbox-empty'), readable && waiting === 0 ? 'Nothing waits for Kafka.' : '');

  $('waiting').hidden = events.length === 0;
  update($('waiting-rows'), events, waitingKey, waitingRow);
  events.forEach((event, i) => { $('waiting-rows').children[i].querySelector('.state').textContent = event.visible ? '' : 'being delivered, or between two tries'; });
  note($('waiting-more'), waiting > events.length ? `And about ${waiting - events.length} more.` : '');

  $('drained').hidden = drained.length === 0;
  update($('drained-rows'), drained, (event) => `${event.eventId} ${event.time}`, drainedRow);

  $('poisoned').hidden = poisoned === 0;
  update($('poisoned-rows'), messages, ({ id }) => id, poisonedItem);
  note($('poisoned-more'), poisoned > messages.length ? `And about ${poisoned - messages.length} more, of which nothing can be seen yet.` : '');
  sayChanges(outbox);
});

async function resend() {
  note($('resent'), 'Sending again …');
  try {
    const { sent, left } = await ask('/resend', { method: 'POST' });
    note($('resent'), `${sent} put back into the outbox${left ? `, ${left} left that cannot be drained` : ''}.`);
  } catch (error) {
    note($('resent'), error.status ? error.message : 'The program behind this page does not answer.');
  }
  say($('resent').textContent);
  loadOutbox();
}
$('resend').addEventListener('click', () => once($('resend'), resend));

const waitingKey = (event) => `${event.eventId} ${event.since} ${event.text ?? ''}`;

function waitingRow(event) {
  const more = [event.errorClass ? badge('warn', event.errorClass) : '', el('span', { class: 'state' })];
  return el('tr', { role: 'row' },
    cell('', when(event.since)),
    cell('message wide', ...whose(event), el('div', { class: 'more' }, ...more)),
    cell('', event.operation ? openButton(event.operation, `waiting event of ${shown(event.userId)}`) : ''));
}

function whose(event) {
  if (event.text != null && !event.eventId) return [badge('bad', 'Not an event'), el('pre', { tabindex: '0' }, visible(event.text))];
  return [el('div', { class: 'mono' }, shown(event.userId)), el('div', { class: 'more' }, el('span', { class: 'mono' }, event.eventId))];
}

function drainedRow(event) {
  const waited = event.queuedMs == null ? '' : `after ${duration(event.queuedMs)}`;
  const parts = [waited, event.place ? mono(placeOf(event.place)) : ''].filter(Boolean).map((part) => el('span', {}, part));
  return el('tr', { role: 'row' },
    cell('', when(event.time)),
    cell('message wide', el('div', { class: 'mono' }, shown(event.userId)), el('div', { class: 'more' }, ...parts)),
    cell('', event.operation ? openButton(event.operation, `drained event of ${shown(event.userId)}`) : ''));
}

function poisonedItem(message) {
  return el('li', {},
    el('div', { class: 'message failed' }, message.reason),
    el('div', { class: 'more' }, when(message.since)),
    el('dl', { class: 'facts' }, ...facts([['User id', mono(shown(message.userId))], ['Event id', mono(message.eventId)]])),
    el('details', {}, el('summary', {}, 'The message'), el('pre', { tabindex: '0' }, visible(message.text) || '(empty)'), copyButton('Copy the message', message.text)));
}

function sayChanges({ waiting, poisoned }) {
  if (poisoned > told.poisoned) sayWhenCalm(`${poisoned} poisoned in the outbox.`);
  else if (waiting !== told.waiting) sayWhenCalm(waiting ? `${waiting} waiting in the outbox.` : 'The outbox is empty.');
  told = { waiting, poisoned };
}
