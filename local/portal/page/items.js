// What telemetry items mean.

import { badge, duration, el, shown } from './dom.js';

export const outcomes = {
  received: ['plain', 'Under way'],
  forwarded: ['good', 'Stored in Kafka'],
  outboxed: ['warn', 'Waits in the outbox'],
  drained: ['good', 'Stored in Kafka'],
  withdrawn: ['good', 'Stored in Kafka'],
  poisoned: ['bad', 'Given up'],
  refused: ['bad', 'Not stored'],
};

export function toneOf(item) {
  if (item.success === false || ['Error', 'Critical'].includes(item.severity) || item.kind === 'exception') return 'bad';
  return item.severity === 'Warning' ? 'warn' : 'plain';
}

export function kindOf(item) {
  if (item.kind === 'trace') return item.severity === 'Information' ? 'Info' : item.severity || 'Trace';
  return item.kind[0].toUpperCase() + item.kind.slice(1);
}

export const headline = (item) => el('span', { class: `message${toneOf(item) === 'bad' ? ' failed' : ''}` }, item.message);

export function detailsOf(item, userId) {
  const parts = [];
  if (item.properties?.errorClass) parts.push(badge(toneOf(item), item.properties.errorClass));
  if (item.kind === 'dependency') parts.push(el('span', {}, `${item.success ? 'succeeded' : 'failed'} in ${duration(item.durationMs ?? 0)}`));
  if (userId && !item.message.includes(shown(userId))) parts.push(el('span', { class: 'mono' }, shown(userId)));
  return parts.length ? el('div', { class: 'more' }, ...parts) : '';
}
