// One transaction: its steps, and its record in Kafka.

import { $, badge, cell, duration, el, facts, mono, note, placeOf, shown, update, when } from './dom.js';
import { detailsOf, headline, kindOf, outcomes, toneOf } from './items.js';
import { ask, single } from './server.js';
import { address, view } from './view.js';

// Why there is no record.
const missing = {
  refused: 'There is none: this registration was not stored.',
  outboxed: 'There is none yet: the event waits in the outbox until Kafka can be reached.',
  poisoned: 'There is none: the event was given up and lies in the poison queue.',
};

export const loadTransaction = single(async () => {
  const operation = view.operation;
  if (!operation) return;
  let transaction;
  try {
    transaction = await ask(`/transaction?operation=${encodeURIComponent(operation)}`);
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  if (operation !== view.operation) return;
  $('transaction-body').hidden = !transaction;
  if (!transaction) $('outcome').replaceChildren();
  note($('transaction-gone'), transaction ? '' : 'No items of this transaction are kept here (any more).');
  if (transaction) await showTransaction(transaction);
});

async function showTransaction(t) {
  const [tone, text] = outcomes[t.outcome] ?? ['plain', t.outcome];
  $('outcome').replaceChildren(...[text, t.errorClass].filter(Boolean).map((part) => badge(tone, part)));
  $('summary').replaceChildren(...facts([
    ['User id', mono(shown(t.userId))],
    ['Operation id', mono(t.operation)],
    ['Started', el('span', {}, when(t.start), `, took ${duration(t.tookMs)}`)],
  ]));
  update($('steps'), t.steps, (step) => `${t.operation} ${step.number}`, (step) => stepItem(step));
  for (const [i, step] of t.steps.entries()) {
    const bar = $('steps').children[i].querySelector('.bar').style;
    bar.setProperty('--left', `${(100 * step.offsetMs) / (t.tookMs || 1)}%`);
    bar.setProperty('--width', `${(100 * (step.durationMs ?? 0)) / (t.tookMs || 1)}%`);
  }
  let why = t.records.length === 0 ? missing[t.outcome] ?? 'None is known yet.' : '';
  for (const place of t.records) {
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
  if (t.operation !== view.operation) return;
  note($('stored-note'), why);
  update($('stored'), t.records.map((place) => view.records.get(placeOf(place))).filter(Boolean), placeOf, recordCard);
}

function stepItem(step) {
  const properties = Object.entries(step.properties ?? {}).sort(([a], [b]) => a.localeCompare(b));
  return el('li', {},
    el('span', { class: 'offset number' }, `+${duration(step.offsetMs)}`),
    el('div', {},
      el('div', { class: 'step-head' }, badge(toneOf(step), kindOf(step)), headline(step)),
      detailsOf(step),
      el('div', { class: 'bar', 'data-tone': toneOf(step), 'aria-hidden': 'true' }),
      el('details', {}, el('summary', {}, 'Properties'),
        el('dl', { class: 'facts' }, ...facts([
          ...properties.map(([name, value]) => [name, mono(value)]),
          ['result code', mono(step.resultCode)], ['target', mono(step.target)], ['type', step.type], ['id', mono(step.id)],
        ])),
        el('details', {}, el('summary', {}, 'As it came'), el('pre', { tabindex: '0' }, JSON.stringify(step.raw, null, 2))))));
}

function recordCard(record) {
  const rows = record.headers.map(({ key, value }) => el('tr', { role: 'row' }, cell('mono', key), cell('mono wide', value ?? 'null')));
  return el('div', {},
    el('dl', { class: 'facts' }, ...facts([
      ['Place', mono(placeOf(record))], ['Timestamp', when(record.time)], ['Key', mono(record.key ?? 'null')], ['Value', mono(record.value ?? 'null')],
    ])),
    el('table', { role: 'table', 'aria-label': 'Headers' },
      el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' },
        el('th', { role: 'columnheader', scope: 'col' }, 'Header'), el('th', { role: 'columnheader', scope: 'col' }, 'Value'))),
      el('tbody', { role: 'rowgroup' }, ...rows)));
}

export function open(operation) {
  view.opener = document.activeElement;
  view.operation = operation;
  history.pushState(null, '', address());
  showOpened();
  $('transaction-title').focus();
}

export function close() {
  view.operation = '';
  history.replaceState(null, '', address());
  showOpened();
  (view.opener?.isConnected ? view.opener : $('query')).focus();
}

export function showOpened() {
  $('transaction').hidden = view.operation === '';
  $('transaction-body').hidden = true;
  mark();
  loadTransaction();
}

export function openButton(operation, what) {
  return el('button', { type: 'button', class: 'open', 'aria-label': `Open transaction: ${what}`, click: () => open(operation) }, 'Open');
}

export function mark() {
  for (const row of document.querySelectorAll('tr[data-operation]')) {
    row.toggleAttribute('data-mark', view.operation !== '' && row.dataset.operation === view.operation);
  }
}
