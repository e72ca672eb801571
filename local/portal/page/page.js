// The page of the portal: searches telemetry, shows one transaction, follows the topic and the outbox, and switches the
// broker. The server's event stream says only what has changed; what is shown is asked for anew.

import { loadState, once, register, switchBroker } from './controls.js';
import { $, note, say } from './dom.js';
import { loadOutbox } from './outbox.js';
import { loadRecords } from './records.js';
import { loadItems, search } from './search.js';
import { close, loadTransaction, showOpened } from './transaction.js';
import { view } from './view.js';

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
      loadOutbox();
    }
    if (now.outbox !== seen.outbox) loadOutbox();
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
