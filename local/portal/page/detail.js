// One registration: what became of it, its request if it was refused, its steps, and its record in Kafka.

import { $, badge, cell, copyButton, duration, el, facts, id, mono, note, placeOf, shown, update, visible, when } from './dom.js';
import { copies } from './copies.js';
import { outcomes, ready, rowOf } from './rows.js';
import { requestOf } from './request.js';
import { ask, single } from './server.js';
import { stepItem } from './steps.js';
import { address, view } from './view.js';

// Why there is no record.
const missing = {
  refused: 'There is none: this registration was not stored.',
  waiting: 'There is none yet: the event waits in the outbox until Kafka accepts it.',
  poisoned: 'There is none: the event was given up and is in the poison queue.',
  repeated: 'The one of the first request with this event id.',
  ignored: 'There is none: events of this type are forwarded nowhere.',
};

let opener = null;
let showing = '';

export const loadDetail = single(async () => {
  const key = view.open;
  if (!key) return;
  let all;
  try {
    all = await ask(`/registration?key=${encodeURIComponent(key)}`);
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  if (key !== view.open) return;
  $('detail-body').hidden = !all;
  if (!all) $('outcome').replaceChildren();
  note($('detail-gone'), all ? '' : 'This registration is not kept here (any more).');
  if (all) await show(all);
});

async function show(all) {
  ready(all);
  const heading = all.shown || all.request || 'Request';
  document.title = `${heading.slice(0, 60)} · ${all.label} · userrelay`;
  $('outcome').replaceChildren(...[all.label, all.errorClass, all.status && `answered ${all.status}`].filter(Boolean).map((part, i) => badge(i < 2 ? all.tone : 'plain', String(part))));
  const key = JSON.stringify([all.key, all.number]);
  if (key !== showing) { // else what is folded open, and the focus, stay
    showing = key;
    $('summary').replaceChildren(...facts([
      ['User id', id(all.userId, 'user id', 'user', all.shown)],
      ['Event id', id(all.eventId, 'event id', 'event')],
      ['Operation', id(all.operation, 'operation id', 'operation')],
      ['Record', all.place && id(placeOf(all.place), 'place of the record')],
      ['Came', el('span', {}, when(all.time), all.tookMs == null ? '' : `, answered in ${duration(all.tookMs)}`, all.queuedMs == null ? '' : `, in the outbox for ${duration(all.queuedMs)}`)],
      ['Known', all.from && `from the ${all.from} only: the telemetry of that time is gone`],
    ]));
    $('copies').replaceChildren(...copies(all).map(([what, text]) => copyButton(what, text)));
    $('request').replaceChildren(...requestOf(all));
  }
  showSteps(all);
  await showRecords(all);
}

function showSteps(all) {
  $('steps-part').hidden = all.steps.length === 0;
  update($('steps'), all.steps, (step) => `${all.key} ${step.number}`, stepItem);
  for (const [i, step] of all.steps.entries()) {
    const bar = $('steps').children[i].querySelector('.bar').style;
    bar.setProperty('--left', `${(100 * step.offsetMs) / (all.tookAll || 1)}%`);
    bar.setProperty('--width', `${(100 * (step.durationMs ?? 0)) / (all.tookAll || 1)}%`);
  }
}

async function showRecords(all) {
  let why = all.records.length === 0 ? missing[all.outcome] ?? 'None is known yet.' : '';
  for (const place of all.records) {
    const key = placeOf(place);
    if (view.records.has(key)) continue;
    if (!view.readable) {
      why = `Kafka cannot be reached, so ${key} cannot be read now.`;
      continue;
    }
    try {
      view.records.set(key, await ask(`/record?partition=${place.partition}&offset=${place.offset}`));
    } catch (error) {
      why = `${key}: ${error.message}`;
    }
  }
  if (all.key !== view.open) return;
  note($('stored-note'), why);
  update($('stored'), all.records.map((place) => view.records.get(placeOf(place))).filter(Boolean), placeOf, recordCard);
}

function recordCard(record) {
  const rows = record.headers.map(({ key, value }) => el('tr', { role: 'row' }, cell('mono', visible(key)), cell('mono wide', visible(value ?? 'null'))));
  return el('div', {},
    el('dl', { class: 'facts' }, ...facts([
      ['Place', mono(placeOf(record))], ['Timestamp', when(record.time)], ['Key', mono(shown(record.key) ?? 'null')], ['Value', mono(visible(record.value ?? 'null'))],
    ])),
    el('table', { role: 'table', 'aria-label': 'Headers' },
      el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' },
        el('th', { role: 'columnheader', scope: 'col' }, 'Header'), el('th', { role: 'columnheader', scope: 'col' }, 'Value'))),
      el('tbody', { role: 'rowgroup' }, ...rows)));
}

// open shows one. The first to be opened is a step of the browser's history; those that follow take its place.
export function open(key, focus = true) {
  if (!view.open) opener = document.activeElement;
  const first = !view.open;
  view.open = key;
  if (first) history.pushState({ opened: true }, '', address());
  else history.replaceState(history.state, '', address());
  showOpened();
  if (focus) $('detail-title').focus();
}

let leaving = false;

export function close() {
  leaving = Boolean(history.state?.opened);
  view.open = '';
  if (leaving) history.back();
  else history.replaceState(null, '', address());
  closed();
}

// left says that the step back in the browser's history was close's: what is searched for stays.
export function left() {
  if (!leaving) return false;
  leaving = false;
  history.replaceState(null, '', address());
  return true;
}

// closed puts the focus where it was.
export function closed() {
  showOpened();
  (opener?.isConnected && opener !== document.body ? opener : $('list')).focus();
}

let listeners = [];
export const whenOpened = (f) => { listeners.push(f); };

export function showOpened() {
  const is = view.open !== '';
  $('detail').hidden = !is;
  $('panels').hidden = is;
  document.body.classList.toggle('opened', is);
  $('detail-body').hidden = !rowOf(view.open) || view.open !== JSON.parse(showing || '[""]')[0];
  if (!is) document.title = 'userrelay on this machine';
  for (const listener of listeners) listener();
  loadDetail();
}

export const labelOf = (outcome) => outcomes[outcome]?.label ?? outcome;
