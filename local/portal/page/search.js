// The search of the list.

import { $ } from './dom.js';
import { sift } from './rows.js';
import { address, view } from './view.js';
import { parse } from './words.js';

export function search(query, replace = true) {
  view.query = query;
  view.terms = parse(query);
  if ($('query').value.trim() !== query) $('query').value = query;
  if (replace) history.replaceState(history.state, '', address());
  sift();
}

let typed;
$('query').addEventListener('input', () => {
  clearTimeout(typed);
  typed = setTimeout(() => search($('query').value.trim()), 60);
});
$('search').addEventListener('submit', (event) => {
  event.preventDefault();
  clearTimeout(typed);
  search($('query').value.trim());
  if (!$('list').hidden) $('list').focus();
});
$('query').addEventListener('keydown', (event) => {
  if (event.key !== 'ArrowDown' || $('list').hidden) return;
  event.preventDefault();
  $('list').focus();
});
$('clear').addEventListener('click', () => { search(''); $('query').focus(); });
