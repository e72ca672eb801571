// What the parts of the page are made of. No text becomes HTML.

import { pieces } from './words.js';
import { view } from './view.js';
import { visible } from './shown.js';

export { shown, visible } from './shown.js';

export const $ = (id) => document.getElementById(id);

export function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (typeof value === 'function') node.addEventListener(key, value);
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== '' && child != null));
  return node;
}

// update makes the children of parent those of the list. Nodes that are there already stay, and with them the focus,
// what is folded open, and the place on the screen.
export function update(parent, list, keyOf, make) {
  const keys = new Set(list.map(keyOf));
  const first = parent.childElementCount === 0;
  const old = new Map();
  for (const node of [...parent.children]) {
    if (keys.has(node.dataset.key)) old.set(node.dataset.key, node);
    else node.remove();
  }
  let next = parent.firstElementChild;
  for (const entry of list) {
    const node = old.get(keyOf(entry)) ?? make(entry);
    node.dataset.key = keyOf(entry);
    if (node === next) {
      next = next.nextElementSibling;
      continue;
    }
    parent.insertBefore(node, next);
    if (!first && !old.has(keyOf(entry))) node.classList.add('fresh');
  }
}

export const badge = (tone, text) => el('span', { class: 'badge', 'data-tone': tone }, text);
export const cell = (kind, ...children) => el('td', { role: 'cell', class: kind }, ...children);
export const facts = (pairs) => pairs.filter(([, value]) => value).flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]);
export const mono = (text) => text && el('span', { class: 'mono' }, text);
export const clear = (node) => node.replaceChildren();
export const placeOf = (place) => `${place.topic}[${place.partition}]@${place.offset}`;

export function note(node, text) {
  node.textContent = text;
  node.hidden = text === '';
}

export function say(text) {
  $('said').textContent = text;
}

// sayWhenCalm says the last of what follows closely: a stream of news would drown all else.
let pending;
export function sayWhenCalm(text) {
  clearTimeout(pending);
  pending = setTimeout(say, 500, text);
}

export function when(text) {
  const at = new Date(text);
  const two = (n) => String(n).padStart(2, '0');
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`;
  const today = at.toDateString() === new Date().toDateString();
  return el('time', { datetime: text, title: text }, today ? clock : `${at.toLocaleDateString()} ${clock}`);
}

export function duration(ms) {
  if (ms >= 7_200_000) return `${Math.round(ms / 3_600_000)} h`;
  if (ms >= 120_000) return `${Math.round(ms / 60_000)} min`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms.toFixed(ms < 10 ? 2 : 1)} ms`;
}

// age is how long ago something was, in few letters.
export function age(at, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

// marked is a text with what the search means in it.
export function marked(text, field) {
  if (view.terms.length === 0) return [text];
  return pieces(text, view.terms, field).map(([part, meant]) => (meant ? el('mark', {}, part) : part));
}

// copyButton copies a text, or what a function makes of what is known then, and says so.
export function copyButton(what, text, name = `Copy ${what}`) {
  const label = what === '' ? 'Copy' : what;
  const button = el('button', { type: 'button', class: 'copy', 'aria-label': name, click: async () => {
    try {
      await navigator.clipboard.writeText(typeof text === 'function' ? text() : text);
      button.textContent = 'Copied';
      say('Copied.');
    } catch {
      button.textContent = 'Not copied';
      say('The browser does not let this page copy.');
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  } }, label);
  return button;
}

// id is something that people copy: as it is shown, and a button that copies what it is.
export const id = (text, what, field, display = visible(text ?? '')) => text && el('span', { class: 'id' },
  el('span', { class: 'mono' }, ...marked(display, field)), copyButton('', text, `Copy the ${what}`));

