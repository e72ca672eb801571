// An outage is told: since when, how many wait, when what is held back is tried again, and in the end whether any was lost.

import { $, duration, say } from './dom.js';

let outage = null;
let dismissed = '';
let told = '';

export function takeOutage(now) {
  outage = now;
  drawOutage();
}

const events = (n) => (n === 1 ? '1 registration' : `${n.toLocaleString('en')} registrations`);

// sentence tells of it in words, with the time that has gone by.
function sentence(o, now) {
  const since = Date.parse(o.since);
  const away = (until) => duration(Math.max(0, until - since)).replace(/\.\d+ s$/, ' s');
  if (o.over) return over(o, Date.parse(o.back) - since);
  if (o.back) return `Kafka is back after ${away(Date.parse(o.back))}: ${o.drained} of ${o.total} drained, ${o.waiting} waiting.${nextTry(o, now)}`;
  const who = o.unreachable ? `Kafka away for ${away(now)}` : `Kafka takes nothing for ${away(now)}${o.class ? ` (${o.class})` : ''}`;
  const next = nextTry(o, now) || (o.unreachable ? ' The handler asks every second whether it is back.' : '');
  return `${who}, ${o.waiting.toLocaleString('en')} waiting.${next}`;
}

function nextTry(o, now) {
  const left = Math.ceil((Date.parse(o.nextTry) - now) / 1000);
  return left > 0 ? ` Next try of what is held back in ${left} s.` : '';
}

function over(o, away) {
  const after = `Kafka is back after ${duration(away)}`;
  if (o.total === 0) return `${after}. Nothing came meanwhile.`;
  const poisoned = o.poisoned ? `, ${o.poisoned} given up` : '';
  const lost = o.lost ? `${o.lost} of which telemetry does not say what became of them` : '0 lost';
  return `${after}: ${o.drained} drained in ${duration(o.drainMs)}${poisoned}, ${lost}.`;
}

export function drawOutage() {
  const o = outage;
  const shown = o && dismissed !== o.since;
  $('outage').hidden = !shown;
  if (!shown) return;
  const text = sentence(o, Date.now());
  if ($('outage-text').textContent !== text) $('outage-text').textContent = text;
  $('outage').dataset.tone = o.over ? (o.lost || o.poisoned ? 'bad' : 'good') : 'warn';
  $('dismiss').hidden = !o.over;
  const progress = $('outage-progress');
  progress.hidden = !o.back || Boolean(o.over) || o.total === 0;
  progress.max = o.total || 1;
  progress.value = o.total - o.waiting;
  progress.textContent = `${o.drained} of ${events(o.total)}`;
  const phase = `${o.since} ${o.over ? 'over' : o.back ? 'back' : 'away'}`;
  if (phase !== told) say(text); // the seconds in between are not read aloud
  told = phase;
}

$('dismiss').addEventListener('click', () => {
  dismissed = outage?.since ?? '';
  drawOutage();
  $('query').focus();
});
