// What of a registration is copied into a terminal, into the portal, or to somebody else.

import { address, view } from './view.js';

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

// curl is a command line of a shell that sends the body.
export function commandLine(body, { contentType = 'application/json', idempotencyKey = '', withoutKey = false } = {}) {
  let url = view.state.function ?? 'http://127.0.0.1:7071/api/RegisterUser';
  if (withoutKey) [url] = url.split('?');
  const headers = [contentType && `content-type: ${contentType}`, idempotencyKey && `idempotency-key: ${idempotencyKey}`].filter(Boolean);
  return ['curl -i', quoted(url), ...headers.map((header) => `-H ${quoted(header)}`), `--data-binary ${quoted(body)}`].join(' ');
}

const kql = (text) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;

// copies are [what, text] pairs.
export function copies(all) {
  const list = [['Link', () => `${location.origin}${address()}`]];
  const body = all.exchange?.body ?? (all.userId ? JSON.stringify({ userId: all.userId }) : '');
  if (body) {
    const type = all.exchange?.headers.find(({ key }) => key.toLowerCase() === 'content-type')?.value;
    list.push(['curl', () => commandLine(body, { contentType: type ?? 'application/json' })]);
  }
  if (all.place) {
    const { topic, partition, offset } = all.place;
    list.push(['kcat', `kcat -b ${view.state.brokers?.[0] ?? ''} -t ${topic} -p ${partition} -o ${offset} -c 1 -e -J`]);
  }
  if (all.operation) list.push(['KQL', `union requests, traces, dependencies, exceptions\n| where operation_Id == ${kql(all.operation)}\n| order by timestamp asc`]);
  else if (all.userId) list.push(['KQL', `union traces, dependencies\n| where customDimensions.userId == ${kql(all.userId)}\n| order by timestamp asc`]);
  return list;
}
