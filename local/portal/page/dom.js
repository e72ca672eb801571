// What the parts of the page are made of. No text becomes HTML.

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
  if (ms >= 120_000) return `${Math.round(ms / 60_000)} min`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms.toFixed(ms < 10 ? 2 : 1)} ms`;
}

// shown is a user id as the handler's messages show it (registration.Shown): quoted and escaped where it holds what one does
// not see, or what turns the text around.
const unseen = /(?! )[\p{C}\p{Z}]/u;
export function shown(id) {
  if (!id || !(unseen.test(id) || /^[" ]| $/.test(id))) return id;
  return `"${id.replace(/(?! )[\p{C}\p{Z}]|["\\]/gu, escaped)}"`;
}

const short = {
  '\u0007': '\\a', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v', '"': '\\"', '\\': '\\\\',
};
function escaped(c) {
  const code = c.codePointAt(0).toString(16);
  if (c < '\x80') return short[c] ?? `\\x${code.padStart(2, '0')}`;
  return code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`;
}
