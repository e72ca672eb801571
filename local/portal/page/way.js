// The picture of the way of a registration: who is there, and where; and the switch of the broker.

import { $, age, note, say } from './dom.js';
import { sift } from './rows.js';
import { ask, once, single } from './server.js';
import { queues } from './strip.js';
import { view } from './view.js';

const words = { up: 'answers', down: 'does not answer', unknown: 'not known' };
let told = '';

export const loadWay = single(async () => {
  const way = await ask('/way');
  show('host', way.host);
  show('handler', way.handler);
  show('kafka', { ...way.kafka, address: `${way.kafka.address ?? ''} · ${view.state.topic ?? ''}` });
  show('outbox', way.outbox, way.outbox.state === 'up' ? (queues.waiting ? `${queues.waiting} waiting` : 'empty') : '');
  told = way.told ?? '';
  show('telemetry', { state: 'up', address: location.host });
  tickWay();
});

function show(name, { state, address }, text = '') {
  const node = $(`node-${name}`);
  node.dataset.state = state;
  node.querySelector('.state').textContent = text || words[state];
  node.querySelector('.address').textContent = address ?? '';
}

export function tickWay() {
  $('node-telemetry').querySelector('.state').textContent = told ? `last item ${age(Date.parse(told))} ago` : 'nothing yet';
}

export function unknownWay() {
  for (const name of ['host', 'handler', 'kafka', 'outbox']) show(name, { state: 'unknown' });
  $('broker-state').textContent = 'not known';
}

// The switch

export const loadState = single(async () => {
  view.state = await ask('/state');
  const { broker, topic } = view.state;
  $('topic').textContent = `of ${topic}`;
  $('broker').hidden = !broker;
  if (broker) showSwitch(broker.running);
  $('quick').hidden = !view.state.function;
  $('no-function').hidden = Boolean(view.state.function);
  $('curl').textContent = view.state.curl ?? '';
  $('how').hidden = !view.state.curl;
  sift(); // what is said of nothing depends on it
});

function showSwitch(running) {
  const was = $('switch').getAttribute('aria-checked');
  $('switch').setAttribute('aria-checked', String(running));
  $('broker-state').textContent = running ? 'running' : 'stopped';
  if ($('broker').dataset.known && was !== String(running)) say(`The Kafka broker is ${running ? 'running' : 'stopped'}.`);
  $('broker').dataset.known = 'yes';
}

async function switchBroker() {
  const was = $('switch').getAttribute('aria-checked') === 'true';
  $('broker-state').textContent = was ? 'stopping …' : 'starting …';
  try {
    const state = await ask('/broker', { method: 'PUT', body: JSON.stringify({ running: !was }) });
    showSwitch(state.running);
  } catch (error) {
    $('broker-state').textContent = 'not known'; // until the server says so
    note($('switch-failed'), `The broker was not switched: ${error.status ? error.message : 'the program behind this page does not answer'}.`);
    say($('switch-failed').textContent);
    return;
  }
  note($('switch-failed'), '');
}

$('switch').addEventListener('click', () => once($('switch'), switchBroker));
