// What host and handler say of themselves: items of no registration, and metrics.

import { $, age, badge, cell, el, note, update, when } from './dom.js';
import { ask, single } from './server.js';
import { headline, kindOf, properties, toneOf } from './steps.js';

const most = 100;

export const loadNotes = single(async () => {
  const items = await ask(`/items?notes=true&newest=${most}`);
  note($('no-notes'), items.length ? '' : 'Nothing was said.');
  update($('note-rows'), items, (item) => String(item.number), noteItem);
});

function noteItem(item) {
  return el('li', {},
    el('div', { class: 'step-head' }, when(item.time), badge(toneOf(item), kindOf(item)), headline(item)),
    properties(item));
}

export const loadMetrics = single(async () => {
  const metrics = await ask('/metrics');
  note($('no-metrics'), metrics.length ? '' : 'None was told. The stand-in of the host tells none; a real host tells some every minute.');
  $('metric-table').hidden = metrics.length === 0;
  update($('metric-rows'), metrics, (metric) => `${metric.name} ${metric.role} ${metric.told}`, (metric) => el('tr', { role: 'row' },
    cell('message wide', metric.name, metric.role ? el('div', { class: 'more' }, metric.role) : ''),
    cell('number', metric.value == null ? '–' : metric.value.toLocaleString('en', { maximumFractionDigits: 3 })),
    cell('number', `${age(Date.parse(metric.time))} ago`)));
});
