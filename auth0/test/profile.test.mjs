// Whether the profile goes out, and that no registration is lost for it.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { key, problem, run, serve, signup, stored } from './rig.mjs';

const secretsFor = (url) => ({ FUNCTION_URL: url, FUNCTION_KEY: key });
const alone = { userId: 'auth0|61de2511fd334200aa221dff', tenant: 'acme-dev' };

test('the profile goes out only when SEND_PROFILE is true', async () => {
  for (const [value, whole] of [
    ['true', true], [' true\n', true], ['True', true], ['"true"', true], ['SEND_PROFILE=true', true],
    ['false', false], ['', false], [undefined, false], ['1', false], ['yes', false], ['untrue', false], [true, false],
  ]) {
    await serve(stored, async ({ url, seen }) => {
      const event = signup({ ...secretsFor(url), SEND_PROFILE: value });
      await run(event);
      assert.deepEqual(JSON.parse(seen[0].body), whole ? { ...alone, user: event.user } : alone, String(value));
      assert.equal(seen[0].headers['idempotency-key'], 'a0pur_ae70de8629a6ca17157ad453b57d3ef5');
    });
  }
});

test('SEND_PROFILE that was not set when the Action was deployed is told', async () => {
  const { line } = await run(signup({ ...secretsFor('https://example.invalid/'), SEND_PROFILE: '##SEND_PROFILE##' }));
  assert.equal(line, 'user not sent: the secret SEND_PROFILE is a placeholder: it was not set when the Action was deployed');
});

test('a profile that the function refuses is left out, at once, and the line says so', async () => {
  for (const status of [413, 400]) {
    await serve((res, request, n) => (n === 1 ? problem(res, status, {}, 'urn:userrelay:problem:too-large') : stored(res, request)), async ({ url, seen }) => {
      const { line, threw, at } = await run(signup({ ...secretsFor(url), SEND_PROFILE: 'true' }));
      assert.equal(threw, false, line);
      assert.ok(line.startsWith(`user sent: HTTP 200, without the profile (HTTP ${status}), attempts=2, id=a0pur_ae70`), line);
      assert.equal(at, 0);
      assert.deepEqual(JSON.parse(seen[1].body), alone);
      assert.equal(seen[0].headers['idempotency-key'], seen[1].headers['idempotency-key']);
    });
  }
});

test('the id alone that is refused is not sent again', async () => {
  for (const [profile, attempts] of [['true', 2], ['false', 1]]) {
    await serve((res) => problem(res, 413, {}, 'urn:userrelay:problem:too-large'), async ({ url, seen }) => {
      const { line, threw } = await run(signup({ ...secretsFor(url), SEND_PROFILE: profile }));
      assert.equal(threw, true);
      const without = attempts === 2 ? ', without the profile (HTTP 413)' : '';
      assert.ok(line.startsWith(`user not sent: HTTP 413 too-large${without}, attempts=${attempts}, `), line);
      assert.equal(seen.length, attempts);
    });
  }
});

test('a refused profile does not take the time of the id: it is tried again as ever', async () => {
  const answers = [503, 413, 503];
  await serve((res, request, n) => (n <= answers.length ? problem(res, answers[n - 1]) : stored(res, request)), async ({ url, seen }) => {
    const { line, threw } = await run(signup({ ...secretsFor(url), SEND_PROFILE: 'true' }));
    assert.equal(threw, false, line);
    assert.deepEqual(seen.map(({ body }) => 'user' in JSON.parse(body)), [true, true, false, false]);
  });
});

test('a profile that is no JSON is left out, and the line says so', async () => {
  const circle = {};
  circle.self = circle;
  for (const user_metadata of [{ big: 1n }, circle, { toJSON() { throw new Error('jane.doe+test@example.com'); } }]) {
    await serve(stored, async ({ url, seen }) => {
      const event = signup({ ...secretsFor(url), SEND_PROFILE: 'true' });
      const { line, threw } = await run({ ...event, user: { ...event.user, user_metadata } }, { frozen: false });
      assert.equal(threw, false, line);
      assert.match(line, /^user sent: HTTP 200, without the profile \(it is no JSON\), attempts=1, /);
      assert.deepEqual(JSON.parse(seen[0].body), alone);
    });
  }
});
