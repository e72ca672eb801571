'use strict';

// Built from actions/src/notify-user-registered.js and actions/src/delivery.js by build.mjs: change those.

// Post User Registration, v2: tells the function of every newly registered user of a database or passwordless connection,
// and does not give up at the first failure, since Auth0 does not run an Action again. Node 22, no dependencies.
//
// Secrets of the Action:
//   FUNCTION_URL  the function's address, https; one with ?code=… will do too
//   FUNCTION_KEY  the function's key, where it is not in FUNCTION_URL
//   SEND_PROFILE  "true" sends the profile, which is personal data; else the user id and the tenant's name go out alone
//
// One line says how it ended, a thrown error where the user was not delivered: only that shows in the tenant's log. No
// line holds an address, a key or a profile, and none is longer than the 256 characters that Auth0 keeps.

exports.onExecutePostUserRegistration = async ({ user, tenant, secrets = {} }) => {
  if (!user) throw new Error('user not sent: event.user is missing');
  const userId = text(user.user_id);
  if (!userId) throw new Error('user not sent: event.user.user_id is missing');
  const name = tenantOf(tenant?.id);
  const id = eventId(name, userId, time(user.created_at));

  const alone = { userId, ...(name && { tenant: name }) };
  const bodies = [JSON.stringify(alone)];
  let note = '';
  if (secret(secrets, 'SEND_PROFILE').toLowerCase() === 'true') {
    try {
      bodies.unshift(JSON.stringify({ ...alone, user }));
    } catch {
      note = ', without the profile (it is no JSON)'; // a BigInt, or a circle, which another Action put there
    }
  }
  await deliver(secrets, { id, bodies, headers: { 'idempotency-key': id }, note, ours: (answered) => answered === id });
};


// ---- Delivery, the same in both Actions (actions/src/delivery.js) ----

const { createHash, randomBytes } = require('node:crypto');

const ATTEMPT_MS = 7_000; // time for a cold start; Auth0 asks for less than 10 s
const TOTAL_MS = 16_000; // Auth0 kills the trigger at 20 s, which its Actions share
const BACKOFF_MS = [250, 1_000, 2_500];
const LONGEST_WAIT_MS = 5_000; // whatever Retry-After says: who waits longer has no time left
const SHORTEST_ATTEMPT_MS = 250;
const LONGEST_ANSWER = 64 * 1024; // the function's own answers are shorter than 1 KiB

// deliver sends one registration until the function has it, or the time is over; then it throws. bodies are what to send:
// the first, and where the function refuses that for its form or its size the one after it. id is the event's id for the
// line; ours says whether an id that the function answers with can be the event's.
async function deliver(secrets, { id, bodies, headers, note = '', ours }) {
  const { url, key } = target(secrets);
  const trace = randomBytes(16).toString('hex');
  const [...left] = bodies;
  const request = { method: 'POST', redirect: 'manual', body: left.shift() };

  const started = Date.now();
  const remaining = () => TOTAL_MS - (Date.now() - started);
  for (let attempt = 1; ; attempt++) {
    request.headers = { ...headers, ...spanned(trace), ...(key && { 'x-functions-key': key }) };
    const outcome = await send(url, request, ours, Math.max(SHORTEST_ATTEMPT_MS, Math.min(ATTEMPT_MS, remaining())));
    const said = `${outcome.said}${note}, attempts=${attempt}, id=${outcome.id ?? id}, trace=${trace}`;
    if (outcome.stored) return console.log(`user sent: ${said}`);
    if (outcome.form && left.length > 0) {
      note = `, without the profile (HTTP ${outcome.form})`; // no registration is lost for its profile
      request.body = left.shift();
      continue;
    }
    const wait = Math.max(backoff(attempt), Math.min(outcome.retryAfter, LONGEST_WAIT_MS));
    if (!outcome.again || wait + SHORTEST_ATTEMPT_MS > remaining()) throw new Error(`user not sent: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

// target reads the secrets. The key goes into a header, also where it was pasted with the address: what is in an address
// ends up in logs.
function target(secrets) {
  let address = secret(secrets, 'FUNCTION_URL');
  if (!address) throw misconfigured('FUNCTION_URL', 'is missing');
  if (/^[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?\//i.test(address)) address = `https://${address}`; // pasted without it
  let url;
  try {
    url = new URL(address);
  } catch {
    throw misconfigured('FUNCTION_URL', 'is no URL');
  }
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(local && url.protocol === 'http:')) throw misconfigured('FUNCTION_URL', 'must begin with https://');
  if (url.username || url.password) throw misconfigured('FUNCTION_URL', 'must have no user and password');

  let key = bare(secret(secrets, 'FUNCTION_KEY'));
  for (const [name, value] of [...url.searchParams]) {
    if (name.toLowerCase() !== 'code') continue; // the host takes it in any case
    key ||= bare(value.replaceAll(' ', '+')); // no key has a space: it was a plus that was pasted as it is
    url.searchParams.delete(name);
  }
  if (!/^[!-~]*$/.test(key)) throw misconfigured('FUNCTION_KEY', 'has characters that no key has');
  return { url, key };
}

// secret returns a secret without what gets pasted along: white space, quotes, its own name as in NAME=value.
function secret(secrets, name) {
  const wrapping = new RegExp(`^[\\s\\u200b"'\`“”„‘’]+|[\\s\\u200b"'\`“”„‘’]+$|^${name}\\s*[=:]`, 'i');
  let value = text(secrets[name]);
  while (wrapping.test(value)) value = value.replace(wrapping, '');
  if (/^(##|@@).*\1$|^_VALUE_NOT_SHOWN_$/.test(value)) throw misconfigured(name, 'is a placeholder: it was not set when the Action was deployed');
  return value;
}

// bare returns the key of what was pasted as one: the function's whole address, code=…, or with a header's name before it;
// %3D is how an address has =.
function bare(pasted) {
  let key = pasted.replace(/^(?:\S*[?&])?code=([^&#\s]*).*$/i, '$1').replace(/^x-functions-key\s*[:=]\s*/i, '');
  try {
    while (/%[0-9a-f]{2}/i.test(key)) key = decodeURIComponent(key);
  } catch {
    throw misconfigured('FUNCTION_KEY', 'has characters that no key has');
  }
  return key.trim();
}

const misconfigured = (name, problem) => new Error(`user not sent: the secret ${name} ${problem}`);

const text = (value) => (typeof value === 'string' ? value : '');

// time is a time's text, also of a Date, as JSON has it.
const time = (value) => text(value?.toISOString ? JSON.parse(JSON.stringify(value)) : value);

// tenantOf returns a tenant's name, '' for what can be none. The function makes the same of it.
const tenantOf = (value) => (/^[A-Za-z0-9._-]{1,128}$/.test(text(value)) ? value : '');

// eventId names the registration. The event has no id of its own; the same user gets the same one, in both Actions, in the
// function (registration.DeriveID) and in the backfill.
function eventId(tenant, userId, createdAt) {
  const hash = createHash('sha256').update([tenant, userId, canonical(createdAt)].join('\n')).digest('hex');
  return `a0pur_${hash.slice(0, 32)}`;
}

// canonical is the one spelling of a time that ids are made of: UTC, with milliseconds, the rest cut off. What is no time
// of RFC 3339 stays as it is.
function canonical(createdAt) {
  const parts = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))$/.exec(createdAt);
  if (!parts) return createdAt;
  const [, year, month, day, hour, minute, second, fraction = '', sign = '+', zoneHour = '00', zoneMinute = '00'] = parts;
  const local = new Date(0);
  local.setUTCFullYear(year, month - 1, day);
  if (local.getUTCMonth() !== month - 1 || local.getUTCDate() !== Number(day)) return createdAt; // 30 February
  if ([hour > 23, minute > 59, second > 59, zoneHour > 23, zoneMinute > 59].includes(true)) return createdAt;
  local.setUTCHours(hour, minute, second, fraction.padEnd(3, '0').slice(0, 3));
  const utc = new Date(local.getTime() - Number(`${sign}1`) * (zoneHour * 60 + Number(zoneMinute)) * 60_000).toISOString();
  return utc.length === 24 ? utc : createdAt; // a year of more than four digits
}

// spanned are the headers of one attempt: a span of its own (W3C Trace Context) in the trace of all.
function spanned(trace) {
  return { 'content-type': 'application/json', traceparent: `00-${trace}-${randomBytes(8).toString('hex')}-01` };
}

// send makes one attempt and says what came of it: stored, or worth another attempt, and when.
async function send(url, request, ours, limit) {
  const cut = new AbortController();
  const timer = setTimeout(() => cut.abort(), limit);
  let outcome;
  try {
    const response = await fetch(url, { ...request, signal: cut.signal });
    outcome = judge(response, parse(await read(response.body)), ours);
  } catch (error) {
    // Not its message: that can hold the address.
    outcome = { again: true, retryAfter: 0, said: cut.signal.aborted ? 'no answer in time' : `no connection (${code(error)})` };
  }
  clearTimeout(timer);
  return outcome;
}

// read returns the body, or what fits of it. Read to its end, it leaves the connection for the next run.
async function read(body) {
  const chunks = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > LONGEST_ANSWER) break;
  }
  return Buffer.concat(chunks).toString();
}

function parse(body) {
  try {
    return JSON.parse(body) ?? {};
  } catch {
    return {};
  }
}

function judge(response, answer, ours) {
  const { status } = response;
  const said = `HTTP ${status}`;
  if (response.ok) {
    // A wrong address can answer 200 too, with a page. Only the function knows the event's id.
    if (ours(text(answer.eventId))) return { stored: true, id: answer.eventId, said: status === 202 ? `${said} (in the outbox)` : said };
    return { again: false, retryAfter: 0, said: `${said}, but not from the function; check FUNCTION_URL` };
  }
  const again = status === 408 || status === 429 || status >= 500;
  const retryIn = again ? retryAfter(response.headers.get('retry-after')) : 0;
  return { again, retryAfter: retryIn, form: [400, 413].includes(status) && status, said: said + reason(answer) + hint(status) };
}

// reason is the type of the function's problem document, which says more than the status, and nothing about anybody.
function reason(answer) {
  const [, type] = /^urn:userrelay:problem:([a-z-]{1,40})$/.exec(text(answer.type)) ?? [];
  return type ? ` ${type}` : '';
}

function hint(status) {
  if (status === 401 || status === 403) return '; check FUNCTION_KEY';
  if (status === 404 || status === 405 || (status >= 300 && status < 400)) return '; check FUNCTION_URL';
  return '';
}

// retryAfter reads the header in both its forms, seconds and a date, as milliseconds from now.
function retryAfter(header) {
  if (!header) return 0;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Math.max(0, ms || 0);
}

// backoff spreads the attempts of users who registered at the same time.
function backoff(attempt) {
  return BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length) - 1] * (0.75 + Math.random() / 2);
}

// code is an error code such as ECONNREFUSED, and nothing else that an error may say.
function code(error) {
  const found = text(error?.cause?.code || error?.code);
  return /^[A-Z0-9_]{1,48}$/.test(found) ? found : 'unknown';
}
