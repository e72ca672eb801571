// The search: items with a text, the newest first.

import { $, badge, cell, el, note, sayWhenCalm, update, when } from './dom.js';
import { detailsOf, headline, kindOf, toneOf } from './items.js';
import { ask, single } from './server.js';
import { mark, openButton } from './transaction.js';
import { address, view } from './view.js';

const shown = 100; // items of a search

let known = { query: '', newest: 0 }; // what the last search was for, and its newest item

export const loadItems = single(async () => {
  const query = view.query;
  const items = await ask(`/items?newest=${shown}&text=${encodeURIComponent(query)}`);
  if (query !== view.query) return;
  update($('hit-rows'), items, (item) => String(item.number), hitRow);
  mark();
  const number = items.length < shown ? items.length : `The newest ${shown}`;
  const text = `${number} item${items.length === 1 ? '' : 's'}${query ? ` with “${query}”` : ''}`;
  $('hits').hidden = items.length === 0;
  const none = query && `Nothing has “${query}” in it. What comes in is shown at once.`;
  note($('count'), items.length ? text : none);
  const newest = items.reduce((most, item) => Math.max(most, item.number), 0);
  if (query !== known.query || newest > known.newest) sayWhenCalm($('count').textContent);
  known = { query, newest };
});

function hitRow(item) {
  const operation = item.tags?.['ai.operation.id'];
  const row = el('tr', { role: 'row', 'data-operation': operation ?? '' },
    cell('', when(item.time)),
    cell('', badge(toneOf(item), kindOf(item))),
    cell('message wide', headline(item), detailsOf(item, item.properties?.userId)),
    cell('', operation ? openButton(operation, item.message) : ''));
  return row;
}

export function search(query, replace = true) {
  view.query = query;
  if ($('query').value.trim() !== query) $('query').value = query;
  if (replace) history.replaceState(null, '', address());
  loadItems();
}
