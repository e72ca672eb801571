// How the Action delivers, and when it gives up.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';

import { key, problem, run, serve, signup, stored } from './rig.mjs';

const secretsFor = (url) => ({ FUNCTION_URL: url, FUNCTION_KEY: key });

test('sends the user id, once', async () => {
  await serve(stored, async ({ url, seen }) => {
    const { line, threw } = await run(signup(secretsFor(url)));
    assert.equal(threw, false);
    assert.match(line, /^user sent: HTTP 200, attempts=1, id=a0pur_ae70de8629a6ca17157ad453b57d3ef5, trace=[0-9a-f]{32}$/);
    assert.equal(seen.length, 1);
    const [{ method, url: path, headers, body }] = seen;
    assert.equal(`${method} ${path}`, 'POST /api/RegisterUser');
    assert.equal(body, '{"userId":"auth0|61de2511fd334200aa221dff"}');
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['x-functions-key'], key);
    assert.equal(headers['idempotency-key'], 'a0pur_ae70de8629a6ca17157ad453b57d3ef5');
    assert.match(headers.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    assert.ok(line.endsWith(headers.traceparent.slice(3, 35)));
  });
});

test('sends the profile only when SEND_PROFILE is true', async () => {
  for (const [value, whole] of [['true', true], [' true\n', true], ['false', false], ['', false], [undefined, false], ['1', false]]) {
    await serve(stored, async ({ url, seen }) => {
      const event = signup({ ...secretsFor(url), SEND_PROFILE: value });
      await run(event);
      const { user, tenant } = event;
      assert.deepEqual(JSON.parse(seen[0].body), whole ? { userId: user.user_id, tenant: tenant.id, user } : { userId: user.user_id });
    });
  }
});

test('says where the user was kept', async () => {
  await serve((res, { headers }) => {
    res.statusCode = 202;
    res.end(JSON.stringify({ eventId: headers['idempotency-key'], outbox: 'userrelay-outbox', messageId: 'b9f0a9e4' }));
  }, async ({ url, seen }) => {
    const { line, threw } = await run(signup(secretsFor(url)));
    assert.equal(threw, false);
    assert.match(line, /^user sent: HTTP 202 \(in the outbox\), attempts=1, /);
    assert.equal(seen.length, 1);
  });
});

test('tries again what may go better: one id, one trace, one connection', async () => {
  const answers = [503, 429, 408, 500];
  await serve((res, request, n) => (n <= answers.length ? problem(res, answers[n - 1]) : stored(res, request)), async ({ url, seen, sockets }) => {
    const { line, threw, at } = await run(signup(secretsFor(url)));
    assert.equal(threw, false);
    assert.match(line, /^user sent: HTTP 200, attempts=5, /);
    assert.equal(at, 250 + 1_000 + 2_500 + 2_500);
    const different = (value) => new Set(seen.map(value)).size;
    assert.equal(different(({ headers }) => headers['idempotency-key']), 1);
    assert.equal(different(({ body }) => body), 1);
    assert.equal(different(({ headers }) => headers.traceparent.slice(3, 35)), 1);
    assert.equal(different(({ headers }) => headers.traceparent), 5, 'each attempt is a span of its own');
    assert.equal(sockets.size, 1);
  });
});

test('waits as long as Retry-After says, within reason', async () => {
  const date = (seconds) => new Date(1_795_600_000_000 + seconds * 1_000).toUTCString();
  for (const [header, wait] of [
    ['2', 2_000], ['0', 250], ['1', 1_000], [date(3), 3_000], [date(-60), 250], ['3600', 5_000], ['soon', 250], ['-1', 250], ['1e3', 250], ['9'.repeat(400), 5_000],
  ]) {
    await serve((res, request, n) => (n === 1 ? problem(res, 503, { 'retry-after': header }) : stored(res, request)), async ({ url }) => {
      const { at, threw } = await run(signup(secretsFor(url)));
      assert.equal(threw, false);
      assert.equal(at, wait, `Retry-After: ${header.slice(0, 40)}`);
    });
  }
});

test('does not try again what will not go better', async () => {
  for (const [status, hint] of [
    [400, ''], [401, '; check FUNCTION_KEY'], [403, '; check FUNCTION_KEY'], [404, '; check FUNCTION_URL'], [405, '; check FUNCTION_URL'],
    [409, ''], [413, ''], [415, ''], [422, ''],
  ]) {
    await serve((res) => problem(res, status, { 'retry-after': '1' }), async ({ url, seen }) => {
      const { line, threw, at } = await run(signup(secretsFor(url)));
      assert.equal(threw, true);
      assert.ok(line.startsWith(`user not sent: HTTP ${status}${hint}, attempts=1, id=a0pur_`), line);
      assert.equal(seen.length, 1);
      assert.equal(at, 0);
    });
  }
});

test('follows no redirect', async () => {
  for (const status of [301, 302, 303, 307, 308]) {
    await serve((res) => problem(res, status, { location: '/elsewhere' }), async ({ url, seen }) => {
      const { line } = await run(signup(secretsFor(url)));
      assert.ok(line.startsWith(`user not sent: HTTP ${status}; check FUNCTION_URL, attempts=1, `), line);
      assert.deepEqual(seen.map((r) => r.url), ['/api/RegisterUser']);
    });
  }
});

test('takes a 2xx of somebody else for none', async () => {
  for (const body of ['', '<!doctype html><title>Your app is up and running</title>', '{"eventId":"a0pur_of-another"}', 'null', '[1]', '{"eventId":']) {
    for (const status of [200, 202, 204]) {
      await serve((res) => res.writeHead(status).end(status === 204 ? undefined : body), async ({ url, seen }) => {
        const { line } = await run(signup(secretsFor(url)));
        assert.ok(line.startsWith(`user not sent: HTTP ${status}, but not from the function; check FUNCTION_URL, attempts=1, `), line);
        assert.equal(seen.length, 1);
      });
    }
  }
});

test('reads no more of an answer than the function would send', async () => {
  let sent = 0;
  await serve((res, { headers }) => {
    res.write(`{"eventId":"${headers['idempotency-key']}","x":"`);
    const more = () => {
      while (!res.destroyed && (sent += 65_536) && res.write('x'.repeat(65_536)));
    };
    res.on('drain', more);
    more();
  }, async ({ url }) => {
    const { line } = await run(signup(secretsFor(url)));
    assert.match(line, /^user not sent: HTTP 200, but not from the function; /);
  });
  assert.ok(sent < 64 * 1_048_576, `${sent} bytes were sent`);
});

test('tries again where nobody listens, until its time is over', async () => {
  const gone = createServer();
  await new Promise((resolve) => gone.listen(0, '127.0.0.1', resolve));
  const { port } = gone.address();
  await new Promise((resolve) => gone.close(resolve));
  const { line, threw, at } = await run(signup(secretsFor(`http://127.0.0.1:${port}/api/RegisterUser?code=${key}`)));
  assert.equal(threw, true);
  assert.match(line, /^user not sent: no connection \(ECONNREFUSED\), attempts=8, /);
  assert.equal(at, 250 + 1_000 + 5 * 2_500);
});

test('tries again when connections break', async () => {
  for (const breakIt of [
    (res) => res.socket.destroy(),
    (res) => res.socket.resetAndDestroy(),
    (res) => res.socket.end('HTTP/1.1 nonsense\r\n\r\n'),
    (res) => { res.writeHead(200, { 'content-length': 100 }); res.write('{'); res.socket.destroySoon(); }, // 200, and then no more
  ]) {
    await serve((res, request, n) => (n === 1 ? breakIt(res) : stored(res, request)), async ({ url, seen }) => {
      const { line, threw } = await run(signup(secretsFor(url)));
      assert.equal(threw, false, line);
      assert.match(line, /^user sent: HTTP 200, attempts=2, /);
      assert.equal(seen[0].headers['idempotency-key'], seen[1].headers['idempotency-key']);
    });
  }
});

test('gives up a server that does not answer within 16 s', async () => {
  let hung = 0;
  await serve((res, request, n) => { hung = n; }, async ({ url, seen }) => {
    const { line, threw, at, left } = await run(signup(secretsFor(url)), { hanging: () => hung });
    assert.equal(threw, true);
    assert.match(line, /^user not sent: no answer in time, attempts=3, /);
    assert.equal(seen.length, 3);
    assert.equal(at, 16_000); // 7 s, 7 s, and what was left
    assert.equal(left, 0, 'no timer is left behind');
  });
});

test('gives up an answer that does not end', async () => {
  let hung = 0;
  await serve((res, { headers }, n) => {
    hung = n;
    res.writeHead(200);
    res.write(`{"eventId":"${headers['idempotency-key']}"`);
  }, async ({ url, seen }) => {
    const { line, threw } = await run(signup(secretsFor(url)), { hanging: () => hung });
    assert.equal(threw, true);
    assert.match(line, /^user not sent: no answer in time, attempts=3, /);
    assert.equal(seen.length, 3);
  });
});

test('one attempt that hangs is no reason to give up', async () => {
  let hung = 0;
  await serve((res, request, n) => (n === 1 ? (hung = 1) : stored(res, request)), async ({ url }) => {
    const { line, threw, at } = await run(signup(secretsFor(url)), { hanging: () => hung });
    assert.equal(threw, false);
    assert.match(line, /^user sent: HTTP 200, attempts=2, /);
    assert.equal(at, 7_250);
  });
});

test('keeps to its time whatever it is told', async () => {
  await serve((res) => problem(res, 503, { 'retry-after': '3600' }), async ({ url, seen }) => {
    const { line, at } = await run(signup(secretsFor(url)));
    assert.match(line, /^user not sent: HTTP 503, attempts=4, /);
    assert.equal(seen.length, 4);
    assert.equal(at, 15_000);
  });
});
