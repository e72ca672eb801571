// The topic's newest records.

import { $, cell, el, marked, note, placeOf, shown, update, when } from './dom.js';
import { loadDetail, open } from './detail.js';
import { sift } from './rows.js';
import { ask, single } from './server.js';
import { view } from './view.js';

export const topic = { known: 0 };

export const loadRecords = single(async () => {
  const { readable, reason, records } = await ask('/records');
  view.readable = readable;
  if ((topic.known > 0) !== (records.length > 0)) {
    topic.known = records.length;
    sift(); // what is said of nothing depends on it
  }
  note($('unreadable'), readable ? '' : `${reason}. ${records.length ? 'These were read before.' : ''}`);
  $('no-records').hidden = records.length > 0 || !readable;
  $('record-table').hidden = records.length === 0;
  update($('record-rows'), records, placeOf, recordRow);
  loadDetail();
});

function recordRow(record) {
  const traceparent = record.headers.find(({ key }) => key === 'traceparent')?.value ?? '';
  const operation = traceparent.split('-')[1] ?? '';
  return el('tr', { role: 'row' },
    cell('', when(record.time)),
    cell('number', `[${record.partition}]@${record.offset}`),
    cell('key mono', ...marked(shown(record.key) ?? 'null', 'user')),
    cell('', operation ? openButton(operation, `record ${placeOf(record)}`) : ''));
}

export function openButton(operation, what) {
  return el('button', { type: 'button', class: 'open', 'aria-label': `Open the registration of the ${what}`, click: () => open(operation) }, 'Open');
}
