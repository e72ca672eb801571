// The page of the portal: searches telemetry, shows one transaction, follows the topic, and switches the broker.
// The server's event stream says only what has changed; what is shown is asked for anew. No text becomes HTML.

const $ = (id) => document.getElementById(id);
const shown = 100; // items of a search

const view = { query: '', operation: '', opener: null, nothing: false, readable: true, records: new Map() };

// Nodes

function el(name, attributes, ...children) {
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
function update(parent, list, keyOf, make) {
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

const badge = (tone, text) => el('span', { class: 'badge', 'data-tone': tone }, text);
const cell = (kind, ...children) => el('td', { role: 'cell', class: kind }, ...children);
const facts = (pairs) => pairs.filter(([, value]) => value).flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]);
const mono = (text) => text && el('span', { class: 'mono' }, text);
const placeOf = (place) => `${place.topic}[${place.partition}]@${place.offset}`;

function note(node, text) {
  node.textContent = text;
  node.hidden = text === '';
}

function say(text) {
  $('said').textContent = text;
}

// sayWhenCalm says the last of what follows closely: a stream of news would drown all else.
let pending;
function sayWhenCalm(text) {
  clearTimeout(pending);
  pending = setTimeout(say, 500, text);
}

function when(text) {
  const at = new Date(text);
  const two = (n) => String(n).padStart(2, '0');
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`;
  const today = at.toDateString() === new Date().toDateString();
  return el('time', { datetime: text, title: text }, today ? clock : `${at.toLocaleDateString()} ${clock}`);
}

function duration(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms.toFixed(ms < 10 ? 2 : 1)} ms`;
}

// What items mean

const outcomes = {
  received: ['plain', 'Under way'],
  forwarded: ['good', 'Stored in Kafka'],
  refused: ['bad', 'Not stored'],
};

function toneOf(item) {
  if (item.success === false || ['Error', 'Critical'].includes(item.severity) || item.kind === 'exception') return 'bad';
  return item.severity === 'Warning' ? 'warn' : 'plain';
}

function kindOf(item) {
  if (item.kind === 'trace') return item.severity === 'Information' ? 'Info' : item.severity || 'Trace';
  return item.kind[0].toUpperCase() + item.kind.slice(1);
}

const headline = (item) => el('span', { class: `message${toneOf(item) === 'bad' ? ' failed' : ''}` }, item.message);

function detailsOf(item, userId) {
  const parts = [];
  if (item.properties?.errorClass) parts.push(badge(toneOf(item), item.properties.errorClass));
  if (item.kind === 'dependency') parts.push(el('span', {}, `${item.success ? 'succeeded' : 'failed'} in ${duration(item.durationMs ?? 0)}`));
  if (userId && !item.message.includes(userId)) parts.push(el('span', { class: 'mono' }, userId));
  return parts.length ? el('div', { class: 'more' }, ...parts) : '';
}

// Talking to the server

async function ask(path, options) {
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(20_000) });
  if (!answer.ok) throw Object.assign(new Error((await answer.text()).trim()), { status: answer.status });
  return answer.json();
}

// single runs a loader once at a time, and once more when it was wanted meanwhile.
function single(load) {
  let running = false;
  let again = false;
  return async () => {
    again = true;
    if (running) return;
    running = true;
    while (again) {
      again = false;
      try {
        await load();
      } catch (error) {
        if (error.status) say(error.message); // else the connection is gone, which is shown where it is noticed
      }
    }
    running = false;
  };
}

// Search

let known = { query: '', newest: 0 }; // what the last search was for, and its newest item

const loadItems = single(async () => {
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

function openButton(operation, what) {
  return el('button', { type: 'button', class: 'open', 'aria-label': `Open transaction: ${what}`, click: () => open(operation) }, 'Open');
}

function mark() {
  for (const row of document.querySelectorAll('tr[data-operation]')) {
    row.toggleAttribute('data-mark', view.operation !== '' && row.dataset.operation === view.operation);
  }
}

function search(query, replace = true) {
  view.query = query;
  if ($('query').value.trim() !== query) $('query').value = query;
  if (replace) history.replaceState(null, '', address());
  loadItems();
}

// One transaction

const loadTransaction = single(async () => {
  const operation = view.operation;
  if (!operation) return;
  let transaction;
  try {
    transaction = await ask(`/transaction?operation=${encodeURIComponent(operation)}`);
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  if (operation !== view.operation) return;
  $('transaction-body').hidden = !transaction;
  if (!transaction) $('outcome').replaceChildren();
  note($('transaction-gone'), transaction ? '' : 'No items of this transaction are kept here (any more).');
  if (transaction) await showTransaction(transaction);
});

async function showTransaction(t) {
  const [tone, text] = outcomes[t.outcome] ?? ['plain', t.outcome];
  $('outcome').replaceChildren(...[text, t.errorClass].filter(Boolean).map((part) => badge(tone, part)));
  $('summary').replaceChildren(...facts([
    ['User id', mono(t.userId)],
    ['Operation id', mono(t.operation)],
    ['Started', el('span', {}, when(t.start), `, took ${duration(t.tookMs)}`)],
  ]));
  update($('steps'), t.steps, (step) => `${t.operation} ${step.number}`, (step) => stepItem(step));
  for (const [i, step] of t.steps.entries()) {
    const bar = $('steps').children[i].querySelector('.bar').style;
    bar.setProperty('--left', `${(100 * step.offsetMs) / (t.tookMs || 1)}%`);
    bar.setProperty('--width', `${(100 * (step.durationMs ?? 0)) / (t.tookMs || 1)}%`);
  }
  let why = '';
  if (t.records.length === 0) why = t.outcome === 'refused' ? 'There is none: this registration was not stored.' : 'None is known yet.';
  for (const place of t.records) {
    const key = placeOf(place);
    if (view.records.has(key)) continue;
    if (!view.readable) {
      why = `Kafka cannot be reached, so ${key} cannot be read now.`;
      continue;
    }
    try {
      view.records.set(key, await ask(`/record?partition=${place.partition}&offset=${place.offset}`));
    } catch (error) {
      why = `${key}: ${error.message}`;
    }
  }
  if (t.operation !== view.operation) return;
  note($('stored-note'), why);
  update($('stored'), t.records.map((place) => view.records.get(placeOf(place))).filter(Boolean), placeOf, recordCard);
}

function stepItem(step) {
  const properties = Object.entries(step.properties ?? {}).sort(([a], [b]) => a.localeCompare(b));
  return el('li', {},
    el('span', { class: 'offset number' }, `+${duration(step.offsetMs)}`),
    el('div', {},
      el('div', { class: 'step-head' }, badge(toneOf(step), kindOf(step)), headline(step)),
      detailsOf(step),
      el('div', { class: 'bar', 'data-tone': toneOf(step), 'aria-hidden': 'true' }),
      el('details', {}, el('summary', {}, 'Properties'),
        el('dl', { class: 'facts' }, ...facts([
          ...properties.map(([name, value]) => [name, mono(value)]),
          ['result code', mono(step.resultCode)], ['target', mono(step.target)], ['type', step.type], ['id', mono(step.id)],
        ])),
        el('details', {}, el('summary', {}, 'As it came'), el('pre', { tabindex: '0' }, JSON.stringify(step.raw, null, 2))))));
}

function recordCard(record) {
  const rows = record.headers.map(({ key, value }) => el('tr', { role: 'row' }, cell('mono', key), cell('mono wide', value ?? 'null')));
  return el('div', {},
    el('dl', { class: 'facts' }, ...facts([
      ['Place', mono(placeOf(record))], ['Timestamp', when(record.time)], ['Key', mono(record.key ?? 'null')], ['Value', mono(record.value ?? 'null')],
    ])),
    el('table', { role: 'table', 'aria-label': 'Headers' },
      el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' },
        el('th', { role: 'columnheader', scope: 'col' }, 'Header'), el('th', { role: 'columnheader', scope: 'col' }, 'Value'))),
      el('tbody', { role: 'rowgroup' }, ...rows)));
}

function open(operation) {
  view.opener = document.activeElement;
  view.operation = operation;
  history.pushState(null, '', address());
  showOpened();
  $('transaction-title').focus();
}

function close() {
  view.operation = '';
  history.replaceState(null, '', address());
  showOpened();
  (view.opener?.isConnected ? view.opener : $('query')).focus();
}

function showOpened() {
  $('transaction').hidden = view.operation === '';
  $('transaction-body').hidden = true;
  mark();
  loadTransaction();
}

// Records, broker, function

const loadRecords = single(async () => {
  const { readable, reason, records } = await ask('/records');
  view.readable = readable;
  note($('unreadable'), readable ? '' : `${reason}. ${records.length ? 'These were read before.' : ''}`);
  $('no-records').hidden = records.length > 0 || !readable;
  $('record-table').hidden = records.length === 0;
  update($('record-rows'), records, placeOf, recordRow);
  mark();
  loadTransaction();
});

function recordRow(record) {
  const traceparent = record.headers.find(({ key }) => key === 'traceparent')?.value ?? '';
  const operation = traceparent.split('-')[1] ?? '';
  return el('tr', { role: 'row', 'data-operation': operation },
    cell('', when(record.time)),
    cell('number', `[${record.partition}]@${record.offset}`),
    cell('key mono', record.key ?? 'null'),
    cell('', operation ? openButton(operation, `record ${placeOf(record)}`) : ''));
}

const loadState = single(async () => {
  const state = await ask('/state');
  $('place').textContent = state.brokers ? ` · Kafka at ${state.brokers.join(', ')}` : '';
  $('topic').textContent = `of ${state.topic}`;
  $('broker').hidden = !state.broker;
  if (state.broker) showSwitch(state.broker.running);
  const nothing = state.items === 0;
  const how = state.curl ? 'Register a test user, or send one from a terminal.' : 'No function is running here (yet); the terminal says more.';
  note($('nothing'), nothing ? `Nothing registered yet. ${how}` : '');
  $('try').hidden = $('how').hidden = !state.curl;
  if (nothing !== view.nothing) $('how').open = nothing; // folded away once it is known how
  view.nothing = nothing;
  $('register').classList.toggle('first', nothing);
  $('curl').textContent = state.curl ?? '';
});

function showSwitch(running) {
  const was = $('switch').getAttribute('aria-checked');
  $('switch').setAttribute('aria-checked', String(running));
  $('broker-state').textContent = running ? 'running' : 'stopped';
  if ($('broker').dataset.known && was !== String(running)) say(`The Kafka broker is ${running ? 'running' : 'stopped'}.`);
  $('broker').dataset.known = 'yes';
}

// once does what a button is for, and ignores it meanwhile. The button keeps the focus, which disabled ones lose.
async function once(button, work) {
  if (button.ariaDisabled === 'true') return;
  button.ariaDisabled = 'true';
  await work();
  button.ariaDisabled = 'false';
}

async function switchBroker() {
  const running = $('switch').getAttribute('aria-checked') !== 'true';
  $('broker-state').textContent = running ? 'starting …' : 'stopping …';
  try {
    const state = await ask('/broker', { method: 'PUT', body: JSON.stringify({ running }) });
    showSwitch(state.running);
  } catch (error) {
    say(`The broker was not switched: ${error.message}`);
    loadState();
  }
}

async function register() {
  $('registered').replaceChildren(badge('plain', 'Registering …'));
  try {
    const { userId, status, answer } = await ask('/register', { method: 'POST', body: '{}' });
    const stored = status >= 200 && status < 300;
    const text = stored ? `Stored as ${placeOf(answer)}` : `${status}: ${answer?.detail ?? 'not stored'}`;
    $('registered').replaceChildren(badge(stored ? 'good' : 'bad', text));
    say(text);
    search(userId);
  } catch (error) {
    $('registered').replaceChildren(badge('bad', error.message));
    say(error.message);
  }
}

// Live

let seen = {};

function connect() {
  const source = new EventSource('/events');
  source.onmessage = (event) => {
    const now = JSON.parse(event.data);
    showConnected(true);
    if (now.items !== seen.items) {
      loadItems();
      loadTransaction();
    }
    if (now.records !== seen.records) loadRecords();
    if (now.state !== seen.state || !seen.items) loadState();
    seen = now;
  };
  source.onerror = () => {
    showConnected(false);
    seen = {}; // everything is asked for again
    view.records.clear();
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    setTimeout(connect, 2000);
  };
}

function showConnected(connected) {
  const text = connected ? 'Live' : 'Not connected';
  if ($('connection').textContent === text) return;
  $('connection').textContent = text;
  $('connection').dataset.tone = connected ? 'good' : 'bad';
  note($('gone'), connected ? '' : `The program behind this page does not answer since ${new Date().toLocaleTimeString()}. Is go run ./local still running? Trying again …`);
}

// Addresses and keys

function address() {
  const parameters = new URLSearchParams();
  if (view.query) parameters.set('q', view.query);
  if (view.operation) parameters.set('operation', view.operation);
  return `/${parameters.size ? `?${parameters}` : ''}`;
}

function route() {
  const parameters = new URLSearchParams(location.search);
  view.operation = parameters.get('operation') ?? '';
  search(parameters.get('q') ?? '', false);
  showOpened();
}

document.addEventListener('keydown', (event) => {
  const typing = event.target instanceof HTMLInputElement;
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    $('query').focus();
    $('query').select();
  } else if (event.key === 'Escape' && view.operation) {
    event.preventDefault();
    close();
  }
});

let typed;
$('query').addEventListener('input', () => {
  clearTimeout(typed);
  typed = setTimeout(() => search($('query').value.trim()), 150);
});
$('search').addEventListener('submit', (event) => {
  event.preventDefault();
  clearTimeout(typed);
  search($('query').value.trim());
});
$('close').addEventListener('click', close);
$('switch').addEventListener('click', () => once($('switch'), switchBroker));
$('register').addEventListener('click', () => once($('register'), register));
$('copy').addEventListener('click', async () => {
  await navigator.clipboard.writeText($('curl').textContent);
  say('Copied.');
});
window.addEventListener('popstate', route);

route();
connect();
