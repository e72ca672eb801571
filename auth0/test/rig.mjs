// What the Action's tests have in common: the Action as Auth0 loads it, a function to call, and a clock.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';

export const testdata = (name) => JSON.parse(readFileSync(new URL(`../testdata/${name}`, import.meta.url), 'utf8'));
export const signup = (secrets) => ({ ...testdata('events/database-signup.json'), secrets });
export const streamed = (secrets) => ({ ...testdata('events/event-stream-action.json'), secrets });

// The two Actions. example is an event, id what its event is called.
export const registered = {
  name: 'notify-user-registered', handler: 'onExecutePostUserRegistration', example: signup, id: 'a0pur_ae70de8629a6ca17157ad453b57d3ef5',
};
export const created = {
  name: 'notify-user-created', handler: 'onExecuteEventStream', example: streamed, id: 'a0pur_10fea4cdb4cbe8d6e52ae76d2910463f',
};

// load returns an Action, which sees these globals in place of the process's.
export function load({ name, handler }, globals) {
  const file = fileURLToPath(new URL(`../actions/${name}/code.js`, import.meta.url));
  const exports = {};
  compileFunction(readFileSync(file, 'utf8'), ['exports', 'require', ...Object.keys(globals)], { filename: file })(
    exports, createRequire(file), ...Object.values(globals));
  return exports[handler];
}

// run runs an Action once, on a clock of its own, and returns how that ended, and at what time of the clock. Every run
// keeps to what is promised of every line. hanging says which attempt, counted from 1, the server lets hang.
export async function run(event, { hanging = () => 0, of = registered, frozen = true } = {}) {
  const clock = new Clock(hanging);
  const lines = [];
  const action = load(of, {
    setTimeout: (f, ms) => clock.set(f, ms), clearTimeout: (timer) => clock.clear(timer), Date: clock.date,
    fetch: (...args) => clock.attempt(() => fetch(...args)),
    console: { log: (line) => lines.push(line) },
    Math: Object.assign(Object.create(Math), { random: () => 0.5 }), // no spread: backoff is exact
  });
  let thrown;
  try {
    await action(frozen ? deepFreeze(event) : event, {});
  } catch (error) {
    thrown = error.message;
    assert.equal(error.cause, undefined);
  } finally {
    clock.stop();
  }
  assert.equal(lines.length + (thrown === undefined ? 0 : 1), 1, 'one line of outcome');
  const line = thrown ?? lines[0];
  assert.match(line, /^[ -~]{1,256}$/, 'a line of 256 characters');
  const { secrets, request } = event;
  const user = event.user ?? event.message?.data?.object ?? {};
  const hidden = [
    user.user_id, user.email, user.phone_number, user.name, request?.ip, secrets?.FUNCTION_URL, secrets?.FUNCTION_KEY, 'code=', 'http:',
  ];
  for (const value of hidden.filter(Boolean)) assert.ok(!line.includes(value), 'a line holds what it must not');
  return { line, threw: thrown !== undefined, at: clock.now, left: clock.timers.length };
}

// both are tests of either Action, which deliver with the same code. run runs the Action with the secrets.
export function both(name, body) {
  for (const of of [registered, created]) {
    test(`${of.name}: ${name}`, () => body({ of, run: (secrets, options) => run(of.example(secrets), { ...options, of }) }));
  }
}

function deepFreeze(value) {
  if (value && typeof value === 'object') Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}

// Clock is time as the Action sees it. It stands still while an attempt is under way, from fetch to clearTimeout, unless
// the server lets that hang, and goes to the next timer when there is nothing else to wait for.
class Clock {
  now = 0;
  timers = [];
  attempts = 0;
  under = false;

  constructor(hanging) {
    const clock = this;
    this.date = class extends Date {
      static now() { return 1_795_600_000_000 + clock.now; }
    };
    this.pump = setInterval(() => {
      if (!this.under || hanging() === this.attempts) this.next();
    }, 1);
  }

  attempt(fetch) {
    this.attempts++;
    this.under = true;
    return fetch();
  }

  set(f, ms) {
    assert.ok(Number.isFinite(ms) && ms > 0, `a timer of ${ms} ms`);
    const timer = { f, at: this.now + ms };
    this.timers.push(timer);
    return timer;
  }

  clear(timer) {
    this.under = false;
    this.timers = this.timers.filter((t) => t !== timer);
  }

  next() {
    const [timer] = this.timers.sort((a, b) => a.at - b.at);
    if (!timer) return;
    this.timers = this.timers.filter((t) => t !== timer);
    this.now = timer.at;
    timer.f();
  }

  stop() {
    clearInterval(this.pump);
  }
}

// serve runs test against a server on a real socket. answer is called with the request, its body, and its number from 1.
export async function serve(answer, test) {
  const seen = [];
  const sockets = new Set();
  const server = createServer(async (req, res) => {
    sockets.add(req.socket.remotePort);
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    seen.push({ method: req.method, url: req.url, headers: req.headers, body });
    answer(res, seen[seen.length - 1], seen.length);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  try {
    return await test({ url: `http://127.0.0.1:${port}/api/RegisterUser`, seen, sockets });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

// stored answers as the function does.
export function stored(res, request) {
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify({ eventId: named(request), topic: 'user-events', partition: 2, offset: 17, timestamp: 1795560934590 }));
}

// named is the id that the function gives a request's event: that of its header, else one that it derives.
export const named = ({ headers }) => headers['idempotency-key'] ?? created.id;

export function problem(res, status, header = {}, type = 'urn:userrelay:problem:not-stored') {
  res.writeHead(status, { 'content-type': 'application/problem+json', ...header });
  res.end(JSON.stringify({ type, detail: 'jane.doe+test@example.com' }));
}

export const key = 'sEcReT-kEy/of+the=function==';
