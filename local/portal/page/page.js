// The page of the portal: the list of registrations and one of them, the way that they go, what waits, and what can be sent.
// The server's event stream says only what has changed; what is shown is asked for anew.

import { close, closed, left, loadDetail, showOpened, whenOpened } from './detail.js';
import { $, note } from './dom.js';
import { listKey, showOpened as markOpened, tick } from './list.js';
import { loadMetrics, loadNotes } from './notes.js';
import { drawOutage } from './outage.js';
import { loadOutbox } from './outbox.js';
import { loadRecords, topic } from './records.js';
import { loadRows, rows, whenChanged } from './rows.js';
import { search } from './search.js';
import { drawMinute, drawStrip } from './strip.js';
import { view } from './view.js';
import { loadState, loadWay, tickWay, unknownWay } from './way.js';
import './compose.js';
import './tabs.js';

// Live

let seen = {};
let source = null;
let connected = false;

function connect() {
  source = new EventSource('/events');
  source.onmessage = (event) => {
    const now = JSON.parse(event.data);
    showConnected(true);
    if (now.items !== seen.items) {
      loadRows();
      loadDetail();
      loadNotes();
      loadMetrics();
    }
    if (now.items !== seen.items || now.outbox !== seen.outbox) loadOutbox();
    if (now.records !== seen.records) loadRecords();
    if (now.state !== seen.state || !seen.items) loadState();
    loadWay();
    seen = now;
  };
  source.onerror = () => {
    showConnected(false);
    seen = {}; // everything is asked for again
    view.records.clear();
    if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    setTimeout(() => { if (!document.hidden) connect(); }, 2000);
  };
}

function showConnected(is) {
  connected = is;
  const text = is ? 'Live' : 'Not connected';
  if ($('connection').textContent === text) return;
  $('connection').textContent = text;
  $('connection').dataset.tone = is ? 'good' : 'bad';
  note($('gone'), is ? '' : `The program behind this page does not answer since ${new Date().toLocaleTimeString()}. Is go run ./local still running? Trying again …`);
  if (!is) unknownWay();
  else note($('switch-failed'), '');
}

// A browser has few connections to one server, for all its tabs: those that nobody looks at need none.
document.addEventListener('visibilitychange', () => {
  source?.close();
  source = null;
  seen = {};
  if (!document.hidden) connect();
});

setInterval(() => {
  if (document.hidden) return;
  tick();
  drawMinute();
  drawOutage();
  tickWay();
  if (connected && new Date().getSeconds() % 2 === 0) loadWay();
}, 1000);

// What follows from the rows

whenChanged(() => {
  drawStrip();
  const nothing = rows.loaded && rows.all.length === 0 && rows.gone === 0 && topic.known === 0;
  note($('nothing'), nothing ? `Nothing registered yet. ${view.state.curl ? 'Register a test user, or send one from a terminal.' : 'No function is running here (yet); the terminal says more.'}` : '');
  $('register').classList.toggle('first', nothing);
});
whenOpened(markOpened);

// Addresses and keys

function route() {
  const parameters = new URLSearchParams(location.search);
  const was = view.open;
  view.open = parameters.get('open') ?? parameters.get('operation') ?? '';
  search(parameters.get('q') ?? '', false);
  if (was && !view.open) closed();
  else showOpened();
}

document.addEventListener('keydown', (event) => {
  const typing = event.target.closest('input, textarea, select');
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === '/' && !typing) {
    event.preventDefault();
    $('query').focus();
    $('query').select();
  } else if (event.key === 'Escape' && view.open) {
    event.preventDefault();
    close();
  } else if ((event.key === 'j' || event.key === 'k') && !typing && !$('list').hidden && $('list').offsetParent) {
    if (document.activeElement !== $('list')) $('list').focus();
    listKey(event);
  }
});

$('close').addEventListener('click', close);
window.addEventListener('popstate', () => left() || route());

route();
if (!document.hidden) connect();
