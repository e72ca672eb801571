// The topic's newest records.

import { $, cell, el, note, placeOf, shown, update, when } from './dom.js';
import { ask, single } from './server.js';
import { loadTransaction, mark, openButton } from './transaction.js';
import { view } from './view.js';

export const loadRecords = single(async () => {
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
    cell('key mono', shown(record.key) ?? 'null'),
    cell('', operation ? openButton(operation, `record ${placeOf(record)}`) : ''));
}
