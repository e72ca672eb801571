// How both Actions deliver, and when they give up.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';

import { both, key, named, problem, serve, stored } from './rig.mjs';

const secretsFor = (url) => ({ FUNCTION_URL: url, FUNCTION_KEY: key });

both('sends the user id, once', async ({ of, run }) => {
  await serve(stored, async ({ url, seen }) => {
    const { line, threw } = await run(secretsFor(url));
    assert.equal(threw, false);
    assert.match(line, new RegExp(`^user sent: HTTP 200, attempts=1, id=${of.id}, trace=[0-9a-f]{32}$`));
    assert.equal(seen.length, 1);
    const [{ method, url: path, headers }] = seen;
    assert.equal(`${method} ${path}`, 'POST /api/RegisterUser');
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['x-functions-key'], key);
    assert.match(headers.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    assert.ok(line.endsWith(headers.traceparent.slice(3, 35)));
  });
});

both('says where the user was kept', async ({ run }) => {
  await serve((res, request) => {
    res.statusCode = 202;
    res.end(JSON.stringify({ eventId: named(request), outbox: 'userrelay-outbox', messageId: 'b9f0a9e4' }));
  }, async ({ url, seen }) => {
    const { line, threw } = await run(secretsFor(url));
    assert.equal(threw, false);
    assert.match(line, /^user sent: HTTP 202 \(in the outbox\), attempts=1, /);
    assert.equal(seen.length, 1);
  });
});

both('tries again what may go better: one id, one trace, one connection', async ({ run }) => {
  const answers = [503, 429, 408, 500];
  await serve((res, request, n) => (n <= answers.length ? problem(res, answers[n - 1]) : stored(res, request)), async ({ url, seen, sockets }) => {
    const { line, threw, at } = await run(secretsFor(url));
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

both('waits as long as Retry-After says, within reason', async ({ run }) => {
  const date = (seconds) => new Date(1_795_600_000_000 + seconds * 1_000).toUTCString();
  for (const [header, wait] of [
    ['2', 2_000], ['0', 250], ['1', 1_000], [date(3), 3_000], [date(-60), 250], ['3600', 5_000], ['soon', 250], ['-1', 250], ['1e3', 250], ['9'.repeat(400), 5_000],
  ]) {
    await serve((res, request, n) => (n === 1 ? problem(res, 503, { 'retry-after': header }) : stored(res, request)), async ({ url }) => {
      const { at, threw } = await run(secretsFor(url));
      assert.equal(threw, false);
      assert.equal(at, wait, `Retry-After: ${header.slice(0, 40)}`);
    });
  }
});

both('does not try again what will not go better', async ({ run }) => {
  for (const [status, hint] of [
    [400, ''], [401, '; check FUNCTION_KEY'], [403, '; check FUNCTION_KEY'], [404, '; check FUNCTION_URL'], [405, '; check FUNCTION_URL'],
    [409, ''], [413, ''], [415, ''], [422, ''],
  ]) {
    await serve((res) => problem(res, status, { 'retry-after': '1' }), async ({ url, seen }) => {
      const { line, threw, at } = await run(secretsFor(url));
      assert.equal(threw, true);
      assert.ok(line.startsWith(`user not sent: HTTP ${status} not-stored${hint}, attempts=1, id=a0pur_`), line);
      assert.equal(seen.length, 1);
      assert.equal(at, 0);
    });
  }
});

both('follows no redirect', async ({ run }) => {
  for (const status of [301, 302, 303, 307, 308]) {
    await serve((res) => problem(res, status, { location: '/elsewhere' }), async ({ url, seen }) => {
      const { line } = await run(secretsFor(url));
      assert.ok(line.startsWith(`user not sent: HTTP ${status} not-stored; check FUNCTION_URL, attempts=1, `), line);
      assert.deepEqual(seen.map((r) => r.url), ['/api/RegisterUser']);
    });
  }
});

both('takes a 2xx of somebody else for none', async ({ run }) => {
  for (const body of ['', '<!doctype html><title>Your app is up and running</title>', '{"eventId":"a0pur_of-another"}', 'null', '[1]', '{"eventId":']) {
    for (const status of [200, 202, 204]) {
      await serve((res) => res.writeHead(status).end(status === 204 ? undefined : body), async ({ url, seen }) => {
        const { line } = await run(secretsFor(url));
        assert.ok(line.startsWith(`user not sent: HTTP ${status}, but not from the function; check FUNCTION_URL, attempts=1, `), line);
        assert.equal(seen.length, 1);
      });
    }
  }
});

both('reads no more of an answer than the function would send', async ({ run }) => {
  let sent = 0;
  await serve((res, request) => {
    res.write(`{"eventId":"${named(request)}","x":"`);
    const more = () => {
      while (!res.destroyed && (sent += 65_536) && res.write('x'.repeat(65_536)));
    };
    res.on('drain', more);
    more();
  }, async ({ url }) => {
    const { line } = await run(secretsFor(url));
    assert.match(line, /^user not sent: HTTP 200, but not from the function; /);
  });
  assert.ok(sent < 64 * 1_048_576, `${sent} bytes were sent`);
});

both('tries again where nobody listens, until its time is over', async ({ run }) => {
  const gone = createServer();
  await new Promise((resolve) => gone.listen(0, '127.0.0.1', resolve));
  const { port } = gone.address();
  await new Promise((resolve) => gone.close(resolve));
  const { line, threw, at } = await run(secretsFor(`http://127.0.0.1:${port}/api/RegisterUser?code=${key}`));
  assert.equal(threw, true);
  assert.match(line, /^user not sent: no connection \(ECONNREFUSED\), attempts=8, /);
  assert.equal(at, 250 + 1_000 + 5 * 2_500);
});

both('tries again when connections break', async ({ run }) => {
  for (const breakIt of [
    (res) => res.socket.destroy(),
    (res) => res.socket.resetAndDestroy(),
    (res) => res.socket.end('HTTP/1.1 nonsense\r\n\r\n'),
    (res) => { res.writeHead(200, { 'content-length': 100 }); res.write('{'); res.socket.destroySoon(); }, // 200, and then no more
  ]) {
    await serve((res, request, n) => (n === 1 ? breakIt(res) : stored(res, request)), async ({ url, seen }) => {
      const { line, threw } = await run(secretsFor(url));
      assert.equal(threw, false, line);
      assert.match(line, /^user sent: HTTP 200, attempts=2, /);
      assert.equal(seen[0].headers['idempotency-key'], seen[1].headers['idempotency-key']);
    });
  }
});

both('gives up a server that does not answer within 16 s', async ({ run }) => {
  let hung = 0;
  await serve((res, request, n) => { hung = n; }, async ({ url, seen }) => {
    const { line, threw, at, left } = await run(secretsFor(url), { hanging: () => hung });
    assert.equal(threw, true);
    assert.match(line, /^user not sent: no answer in time, attempts=3, /);
    assert.equal(seen.length, 3);
    assert.equal(at, 16_000); // 7 s, 7 s, and what was left
    assert.equal(left, 0, 'no timer is left behind');
  });
});

both('gives up an answer that does not end', async ({ run }) => {
  let hung = 0;
  await serve((res, request, n) => {
    hung = n;
    res.writeHead(200);
    res.write(`{"eventId":"${named(request)}"`);
  }, async ({ url, seen }) => {
    const { line, threw } = await run(secretsFor(url), { hanging: () => hung });
    assert.equal(threw, true);
    assert.match(line, /^user not sent: no answer in time, attempts=3, /);
    assert.equal(seen.length, 3);
  });
});

both('one attempt that hangs is no reason to give up', async ({ run }) => {
  let hung = 0;
  await serve((res, request, n) => (n === 1 ? (hung = 1) : stored(res, request)), async ({ url }) => {
    const { line, threw, at } = await run(secretsFor(url), { hanging: () => hung });
    assert.equal(threw, false);
    assert.match(line, /^user sent: HTTP 200, attempts=2, /);
    assert.equal(at, 7_250);
  });
});

both('keeps to its time whatever it is told', async ({ run }) => {
  await serve((res) => problem(res, 503, { 'retry-after': '3600' }), async ({ url, seen }) => {
    const { line, at } = await run(secretsFor(url));
    assert.match(line, /^user not sent: HTTP 503 not-stored, attempts=4, /);
    assert.equal(seen.length, 4);
    assert.equal(at, 15_000);
  });
});

both('says why the function refuses, and nothing else that an answer holds', async ({ run }) => {
  for (const [type, said] of [
    ['urn:userrelay:problem:invalid-registration', ' invalid-registration'], ['urn:userrelay:problem:event-id-taken', ' event-id-taken'],
    ['urn:userrelay:problem:jane.doe+test@example.com', ''], ['about:blank', ''], [`urn:userrelay:problem:${'x'.repeat(41)}`, ''],
    ['urn:userrelay:problem:a\nb', ''], [5, ''], [null, ''], [undefined, ''],
  ]) {
    await serve((res) => problem(res, 422, {}, type ?? null), async ({ url }) => {
      const { line } = await run(secretsFor(url));
      assert.ok(line.startsWith(`user not sent: HTTP 422${said}, attempts=1, id=`), line);
    });
  }
  for (const body of ['', 'null', '[]', '"x"', '<html>jane.doe+test@example.com</html>', '{"type":']) {
    await serve((res) => res.writeHead(400).end(body), async ({ url }) => {
      const { line } = await run(secretsFor(url));
      assert.ok(line.startsWith('user not sent: HTTP 400, attempts=1, id='), line);
    });
  }
});
