// The steps of a registration: the items that telemetry has of it.

import { badge, duration, el, facts, mono, visible } from './dom.js';

export function toneOf(item) {
  if (item.success === false || ['Error', 'Critical'].includes(item.severity) || item.kind === 'exception') return 'bad';
  return item.severity === 'Warning' ? 'warn' : 'plain';
}

export function kindOf(item) {
  if (item.kind === 'trace') return item.severity === 'Information' ? 'Info' : item.severity || 'Trace';
  return item.kind[0].toUpperCase() + item.kind.slice(1);
}

export const headline = (item) => el('span', { class: `message${toneOf(item) === 'bad' ? ' failed' : ''}` }, visible(item.message));

function more(step) {
  const parts = [];
  if (step.properties?.errorClass) parts.push(badge(toneOf(step), step.properties.errorClass));
  if (step.kind === 'dependency') parts.push(el('span', {}, `${step.success ? 'succeeded' : 'failed'} in ${duration(step.durationMs ?? 0)}`));
  if (step.kind === 'request') parts.push(el('span', {}, `answered ${step.resultCode} in ${duration(step.durationMs ?? 0)}`));
  return parts.length ? el('div', { class: 'more' }, ...parts) : '';
}

export function stepItem(step) {
  return el('li', {},
    el('span', { class: 'offset number' }, `+${duration(step.offsetMs)}`),
    el('div', {},
      el('div', { class: 'step-head' }, badge(toneOf(step), kindOf(step)), headline(step)),
      more(step),
      el('div', { class: 'bar', 'data-tone': toneOf(step), 'aria-hidden': 'true' }),
      properties(step)));
}

// properties are all that an item holds, folded away.
export function properties(item) {
  const pairs = Object.entries(item.properties ?? {}).sort(([a], [b]) => a.localeCompare(b));
  return el('details', {}, el('summary', {}, 'Properties'),
    el('dl', { class: 'facts' }, ...facts([
      ...pairs.map(([name, value]) => [visible(name), mono(visible(value))]),
      ['result code', mono(item.resultCode)], ['target', mono(item.target)], ['type', item.type], ['id', mono(item.id)],
    ])),
    el('details', {}, el('summary', {}, 'As it came'), el('pre', { tabindex: '0' }, visible(JSON.stringify(item.raw, null, 2)))));
}
