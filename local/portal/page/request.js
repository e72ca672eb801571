// A request that was refused, as it came, with what it was answered and what fixes it.

import { el, facts, mono, visible } from './dom.js';

const hints = {
  401: (x) => (x?.hasKey ? 'The key is not the function\'s. Copy it from what go run ./local prints; in Azure from the function\'s keys.'
    : 'There is no key. Send it in the header x-functions-key, or as ?code=… in the address.'),
  404: (x) => (x && x.method !== 'POST' ? `The function takes POST only, and this was ${x.method}.`
    : 'There is no function at this path: it is /api/RegisterUser. A client that appends a path to the address needs a # at its end (docs/http.md).'),
  400: () => 'The answer names the member and the rule. docs/http.md has all forms.',
  408: () => 'The body did not arrive in time.',
  413: () => 'The body is larger than the function accepts. Send only the user id.',
  415: () => 'Send application/json, or no Content-Type at all.',
  422: () => 'This event id was used for another user. Make a new Idempotency-Key for each registration.',
  503: () => 'Neither Kafka nor the outbox stored it, or the outcome is unknown. Send it again, with the same Idempotency-Key or none.',
  500: () => 'The handler or the host failed. The terminal says more.',
};

export function requestOf(all) {
  const x = all.exchange;
  const hint = all.status >= 400 ? hints[all.status]?.(x) : '';
  if (!x && !hint) return [];
  const parts = [el('h3', {}, 'Request and answer')];
  if (hint) parts.push(el('p', { class: 'notice hint', 'data-tone': 'warn' }, hint));
  if (!x) {
    parts.push(el('p', { class: 'muted' }, 'Application Insights is not told of bodies; the stand-in of the host shows them.'));
    return parts;
  }
  parts.push(
    el('dl', { class: 'facts' }, ...facts([
      ['Request', mono(visible(`${x.method} ${x.path}${x.query ? `?${x.query}` : ''}`))],
      ...x.headers.filter(({ key }) => telling.test(key)).map(({ key, value }) => [key, mono(visible(value))]),
      ['Key', x.hasKey ? 'shown' : 'none'],
    ])),
    text('Body', x.body, x.bodyBytes ? `${x.bodyBytes} bytes` : 'empty'),
    text(`Answer ${x.status}`, pretty(x.answer), x.answer ? x.answerType ?? '' : 'empty, by the Functions host'));
  return parts;
}

const telling = /^(content-type|content-encoding|idempotency-key|user-agent|traceparent)$/i;

function text(name, content, about) {
  const label = el('div', { class: 'more' }, el('strong', {}, name), el('span', {}, about));
  return el('div', { class: 'text' }, label, content ? el('pre', { tabindex: '0', role: 'region', 'aria-label': name }, visible(content)) : '');
}

function pretty(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
