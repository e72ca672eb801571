// What the Action's tests have in common: the Action as Auth0 loads it, a function to call, and a clock.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';

const file = fileURLToPath(new URL('../actions/notify-user-registered/code.js', import.meta.url));
const source = readFileSync(file, 'utf8');

export const testdata = (name) => JSON.parse(readFileSync(new URL(`../testdata/${name}`, import.meta.url), 'utf8'));
export const signup = (secrets) => ({ ...testdata('events/database-signup.json'), secrets });

// load returns the Action, which sees these globals in place of the process's.
export function load(globals) {
  const exports = {};
  const names = Object.keys(globals);
  compileFunction(source, ['exports', 'require', ...names], { filename: file })(exports, createRequire(file), ...Object.values(globals));
  return exports.onExecutePostUserRegistration;
}

// run runs the Action once, on a clock of its own, and returns how that ended, and at what time of the clock. Every run
// keeps to what is promised of every line. hanging says which attempt, counted from 1, the server lets hang.
export async function run(event, { hanging = () => 0 } = {}) {
  const clock = new Clock(hanging);
  const lines = [];
  const action = load({
    setTimeout: (f, ms) => clock.set(f, ms), clearTimeout: (timer) => clock.clear(timer), Date: clock.date,
    fetch: (...args) => clock.attempt(() => fetch(...args)),
    console: { log: (line) => lines.push(line) },
    Math: Object.assign(Object.create(Math), { random: () => 0.5 }), // no spread: backoff is exact
  });
  let thrown;
  try {
    await action(deepFreeze(event), {});
  } catch (error) {
    thrown = error.message;
    assert.equal(error.cause, undefined);
  } finally {
    clock.stop();
  }
  assert.equal(lines.length + (thrown === undefined ? 0 : 1), 1, 'one line of outcome');
  const line = thrown ?? lines[0];
  assert.match(line, /^[ -~]{1,256}$/, 'a line of 256 characters');
  const { user, secrets = {}, request } = event;
  const hidden = [user.user_id, user.email, user.phone_number, user.name, request?.ip, secrets.FUNCTION_URL, secrets.FUNCTION_KEY, 'code=', 'http:'];
  for (const value of hidden.filter(Boolean)) assert.ok(!line.includes(value), 'a line holds what it must not');
  return { line, threw: thrown !== undefined, at: clock.now, left: clock.timers.length };
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
export function stored(res, { headers }) {
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify({ eventId: headers['idempotency-key'], topic: 'user-events', partition: 2, offset: 17, timestamp: 1795560934590 }));
}

export function problem(res, status, header = {}) {
  res.writeHead(status, { 'content-type': 'application/problem+json', ...header });
  res.end('{"type":"urn:userrelay:problem:not-stored","detail":"jane.doe+test@example.com"}');
}

export const key = 'sEcReT-kEy/of+the=function==';
