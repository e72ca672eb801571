// The strip on top: how many are stored, wait, were refused or given up, how long callers waited, and the last minute.

import { $, duration, el } from './dom.js';
import { rows } from './rows.js';
import { search } from './search.js';
import { view } from './view.js';
import { withWord } from './words.js';

const seconds = 60;
const format = new Intl.NumberFormat('en');
const tones = { stored: 'good', waiting: 'warn', poisoned: 'bad', refused: 'bad' };
export const queues = { readable: false, waiting: 0, poisoned: 0 }; // what the outbox says

export function drawStrip() {
  const { counts } = rows;
  // How many wait is the queue's to say: an event may be there of which telemetry does not tell.
  const numbers = {
    stored: counts.stored ?? 0, waiting: queues.readable ? queues.waiting : counts.waiting ?? 0,
    refused: counts.refused ?? 0, poisoned: queues.readable ? queues.poisoned : counts.poisoned ?? 0,
  };
  for (const [group, number] of Object.entries(numbers)) {
    const button = $(`number-${group}`);
    button.firstElementChild.textContent = format.format(number);
    button.dataset.tone = number ? tones[group] : 'plain';
    button.setAttribute('aria-pressed', String(view.terms.some(({ field, value }) => field === 'outcome' && value === group)));
  }
  if (rows.all !== counted) drawMinute(); // a search changes nothing in it
}

let counted = null; // the rows of which the minute was drawn

export function drawMinute() {
  counted = rows.all;
  const now = Math.floor(Date.now() / 1000);
  const minute = Array.from({ length: seconds }, () => ({ good: 0, warn: 0, bad: 0, plain: 0 }));
  const took = [];
  for (const row of rows.all) { // the newest first
    const ago = now - Math.floor(row.at / 1000);
    if (ago >= seconds) break;
    if (ago < 0) continue;
    minute[seconds - 1 - ago][row.tone]++;
    if (row.tookMs != null) took.push(row.tookMs);
  }
  drawBars(minute, now);
  const recent = took.length > 0;
  const all = recent ? took : rows.all.map((row) => row.tookMs).filter((ms) => ms != null);
  all.sort((a, b) => a - b);
  const at = (share) => (all.length ? duration(all[Math.min(all.length - 1, Math.floor(share * all.length))]) : '–');
  $('p50').textContent = at(0.5);
  $('p99').textContent = at(0.99);
  $('of-what').textContent = recent ? 'of the last minute' : all.length ? `of all ${all.length}` : '';
}

function drawBars(minute, now) {
  const bars = $('minute');
  if (bars.childElementCount === 0) {
    bars.append(...minute.map((_, i) => el('button', { type: 'button', class: 'second', tabindex: i === seconds - 1 ? '0' : '-1', click: pick },
      el('i', { 'data-tone': 'bad' }), el('i', { 'data-tone': 'warn' }), el('i', { 'data-tone': 'plain' }), el('i', { 'data-tone': 'good' }))));
  }
  const most = Math.max(1, ...minute.map((second) => second.good + second.warn + second.bad + second.plain));
  minute.forEach((second, i) => {
    const bar = bars.children[i];
    const clock = clockOf(now - (seconds - 1 - i));
    bar.dataset.clock = clock;
    const parts = Object.entries({ stored: second.good, waiting: second.warn, refused: second.bad, other: second.plain }).filter(([, n]) => n).map(([what, n]) => `${n} ${what}`);
    bar.setAttribute('aria-label', `${clock}: ${parts.join(', ') || 'nothing'}`);
    bar.title = bar.getAttribute('aria-label');
    for (const part of bar.children) part.style.setProperty('--share', second[part.dataset.tone] / most);
  });
}

const two = (n) => String(n).padStart(2, '0');
function clockOf(second) {
  const at = new Date(1000 * second);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function pick(event) {
  const { clock } = event.currentTarget.dataset;
  search(withWord(view.query, 'at', clock));
}

// The bars are one stop of the Tab key; the arrows move in them.
$('minute').addEventListener('keydown', (event) => {
  const bars = [...$('minute').children];
  const by = { ArrowLeft: -1, ArrowRight: 1, Home: -seconds, End: seconds }[event.key];
  if (!by) return;
  event.preventDefault();
  const next = bars[Math.min(seconds - 1, Math.max(0, bars.indexOf(document.activeElement) + by))];
  for (const bar of bars) bar.tabIndex = bar === next ? 0 : -1;
  next.focus();
});

for (const group of Object.keys(tones)) $(`number-${group}`).addEventListener('click', () => search(withWord(view.query, 'outcome', group)));
