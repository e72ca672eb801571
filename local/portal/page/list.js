// The list of registrations: one row each, of which only those exist that can be seen. It is one stop of the Tab key.

import { $, age, badge, duration, el, marked, note, sayWhenCalm, update } from './dom.js';
import { open } from './detail.js';
import { rows, whenChanged } from './rows.js';
import { view } from './view.js';

let cursor = ''; // key of the row that the keys are at
let drawn = { from: -1, to: -1 };
let topAt = 0; // time of the newest row, to hold the place when newer ones come
let asked = ''; // the search that is shown
let told = '';

const list = $('list');
const spare = 8; // rows beyond the edges
const height = () => parseFloat(getComputedStyle(list).getPropertyValue('--row'));

whenChanged(() => {
  const size = height();
  const another = view.query !== asked;
  const came = topAt && !another ? rows.hits.findIndex((row) => row.at <= topAt) : 0;
  topAt = rows.hits[0]?.at ?? 0;
  asked = view.query;
  list.style.setProperty('--rows', rows.hits.length);
  if (another) list.scrollTop = 0;
  else if (came > 0 && list.scrollTop > size) list.scrollTop += came * size;
  draw();
  tell();
});

// draw makes the rows that can be seen.
function draw() {
  const size = height();
  const from = Math.max(0, Math.floor(list.scrollTop / size) - spare);
  const to = Math.min(rows.hits.length, Math.ceil((list.scrollTop + list.clientHeight) / size) + spare);
  const part = rows.hits.slice(from, to);
  update($('rows'), part, (row) => `${row.key} ${row.number} ${view.query}`, makeRow);
  [...$('rows').children].forEach((node, i) => {
    node.style.setProperty('--at', from + i);
    node.setAttribute('aria-posinset', from + i + 1);
    node.setAttribute('aria-setsize', rows.hits.length);
  });
  drawn = { from, to };
  showCursor();
}

function showCursor() {
  let active = null;
  for (const node of $('rows').children) {
    const here = node.dataset.row === cursor;
    node.setAttribute('aria-selected', String(here));
    node.toggleAttribute('data-open', node.dataset.row === view.open);
    if (here) active = node;
  }
  if (active) list.setAttribute('aria-activedescendant', active.id);
  else list.removeAttribute('aria-activedescendant');
}

// what says in the row what the outcome alone does not.
function what(row) {
  if (row.detail) return `${row.status} ${row.detail}`;
  if (row.errorClass) return row.errorClass;
  if (row.group === 'refused' && row.status) return String(row.status);
  if (row.from) return `known from the ${row.from} only`;
  if (row.queuedMs != null) return `${duration(row.queuedMs)} in the outbox`;
  return '';
}

const place = (row) => (row.place ? `[${row.place.partition}]@${row.place.offset}` : '');

function makeRow(row) {
  const who = row.shown || row.request || 'a request';
  const sentence = [row.label, who, what(row), place(row) && `record ${place(row)}`, row.tookMs != null && duration(row.tookMs), `at ${row.clock}`];
  return el('div', {
    role: 'option', id: `row-${row.key}`, class: 'row', 'data-row': row.key, 'aria-label': sentence.filter(Boolean).join(', '), click: () => { move(row.key); open(row.key); },
  },
  el('span', {}, badge(row.tone, row.label)),
  el('span', { class: 'who mono', title: who }, ...marked(who, row.shown ? 'user' : '')),
  el('span', { class: 'what', title: what(row) }, ...marked(what(row), 'class')),
  el('span', { class: 'place mono' }, place(row)),
  el('span', { class: 'took' }, row.tookMs == null ? '' : duration(row.tookMs)),
  el('time', { class: 'age', datetime: row.time, title: row.time }, age(row.at)));
}

// tick renews the ages.
export function tick() {
  const now = Date.now();
  for (const node of $('rows').querySelectorAll('time')) node.textContent = age(Date.parse(node.dateTime), now);
}

function tell() {
  if (!rows.loaded) return;
  const kept = rows.all.length;
  const older = rows.gone ? ` ${rows.gone} older ones are not kept here any more.` : '';
  const many = `${kept} registration${kept === 1 ? '' : 's'}`;
  let text = '';
  if (view.query && rows.hits.length === 0) text = `None of the ${many} kept here matches.${older} What comes in is shown at once.`;
  else if (view.query) text = `${rows.hits.length} of ${many}.${older}`;
  else if (kept) text = `${many}.${older}`;
  note($('count'), text);
  $('clear').hidden = view.query === '';
  $('list').hidden = rows.hits.length === 0;
  if (text !== told && view.query) sayWhenCalm(text);
  told = text;
}

// move puts the keys on a row, and the row into sight.
export function move(key) {
  cursor = key;
  const at = rows.hits.findIndex((row) => row.key === key);
  const size = height();
  if (at * size < list.scrollTop) list.scrollTop = at * size;
  else if ((at + 1) * size > list.scrollTop + list.clientHeight) list.scrollTop = (at + 1) * size - list.clientHeight;
  if (at < drawn.from || at >= drawn.to) draw();
  else showCursor();
}

let following;
function step(by) {
  const at = rows.hits.findIndex((row) => row.key === cursor);
  const next = rows.hits[Math.min(rows.hits.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
  if (!next) return;
  move(next.key);
  if (!view.open || $('find').offsetParent === null) return;
  clearTimeout(following); // the detail follows, when the keys rest
  following = setTimeout(() => open(next.key, false), 120);
}

const steps = () => {
  const page = Math.max(1, Math.floor(list.clientHeight / height()) - 1);
  return { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
};

// keys of the list. They are the page's, too, where nobody types.
export function listKey(event) {
  const by = steps()[event.key];
  if (by !== undefined && rows.hits.length) step(by);
  else if (event.key === 'Enter' && cursor) open(cursor);
  else return false;
  event.preventDefault();
  return true;
}

list.addEventListener('keydown', (event) => {
  if (!event.ctrlKey && !event.metaKey && !event.altKey) listKey(event);
});
list.addEventListener('focus', () => { if (!rows.hits.some((row) => row.key === cursor)) step(0); });
list.addEventListener('scroll', draw);
new ResizeObserver(draw).observe(list);

export const showOpened = showCursor;
