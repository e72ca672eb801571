// The registrations that are known, the newest first. The server tells what has changed; the search is done here.

import { placeOf, shown } from './dom.js';
import { ask, single } from './server.js';
import { view } from './view.js';
import { matches, prepare } from './words.js';

// outcomes: how each is shown, and which number on top it belongs to.
export const outcomes = {
  'under-way': { tone: 'plain', label: 'Under way' },
  stored: { tone: 'good', label: 'Stored', group: 'stored' },
  repeated: { tone: 'good', label: 'Repeat', group: 'stored' },
  waiting: { tone: 'warn', label: 'Waiting', group: 'waiting' },
  poisoned: { tone: 'bad', label: 'Poisoned', group: 'poisoned' },
  refused: { tone: 'bad', label: 'Refused', group: 'refused' },
  answered: { tone: 'plain', label: 'Answered' },
  ignored: { tone: 'plain', label: 'Ignored' },
};

export const rows = { all: [], hits: [], counts: {}, gone: 0, loaded: false };

const byKey = new Map(); // in the order in which they became known
let known = { run: '', newest: 0, gone: 0 };
let listeners = [];
export const whenChanged = (f) => { listeners.push(f); };

export const loadRows = single(async () => {
  let list = await ask(`/registrations?after=${known.newest}`);
  for (const key of [...byKey.keys()].slice(0, Math.max(0, list.gone - known.gone))) byKey.delete(key);
  if (list.run !== known.run) {
    byKey.clear();
    if (known.newest > 0) list = await ask('/registrations');
  }
  take(list);
  if (byKey.size !== list.kept) { // one of them turned out to be part of another
    byKey.clear();
    list = await ask('/registrations');
    take(list);
  }
  known = { run: list.run, newest: list.newest, gone: list.gone };
  rows.gone = list.gone;
  rows.loaded = true;
  rows.all = [...byKey.values()].sort((a, b) => b.at - a.at || b.number - a.number);
  rows.counts = {};
  for (const { group } of rows.all) rows.counts[group] = (rows.counts[group] ?? 0) + 1;
  sift();
});

function take(list) {
  for (const row of list.registrations) byKey.set(row.key, ready(row));
}

const two = (n) => String(n).padStart(2, '0');

// ready makes of a registration what the list and the search need.
export function ready(row) {
  const at = new Date(row.time);
  row.at = at.getTime();
  row.clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  row.shown = shown(row.userId);
  row.group = outcomes[row.outcome]?.group;
  row.label = outcomes[row.outcome]?.label ?? row.outcome;
  row.tone = outcomes[row.outcome]?.tone ?? 'plain';
  prepare(row, [row.userId, row.shown, row.label, row.errorClass, row.place && placeOf(row.place), row.detail, row.request, row.status && String(row.status)]);
  return row;
}

// sift finds what the search is for, and tells those who show it.
export function sift() {
  rows.hits = view.terms.length ? rows.all.filter((row) => matches(row, view.terms)) : rows.all;
  for (const listener of listeners) listener();
}

export const rowOf = (key) => byKey.get(key);
