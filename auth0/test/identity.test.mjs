// The event's id, and the forms of users that Auth0 has.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { key, run, serve, signup, stored, testdata } from './rig.mjs';

async function sent(event, options) {
  return serve(stored, async ({ url, seen }) => {
    const { line, threw } = await run({ ...event, secrets: { FUNCTION_URL: url, FUNCTION_KEY: key, ...event.secrets } }, options);
    assert.equal(threw, false, line);
    return { ...seen[0], line };
  });
}

test('the id is the one of the table that the function and the backfill keep to', async () => {
  const table = testdata('ids.json');
  assert.ok(table.length > 0);
  for (const { name, tenant, userId, createdAt, eventId } of table) {
    const { headers, body } = await sent({ tenant: { id: tenant }, user: { user_id: userId, created_at: createdAt } });
    assert.equal(headers['idempotency-key'], eventId, name);
    assert.equal(JSON.parse(body).userId, userId, name);
    assert.equal(JSON.parse(body).tenant, tenant || undefined, name);
  }
});

test('a tenant that can be none is left out, of the id too', async () => {
  const { userId, createdAt, eventId } = testdata('ids.json').find((row) => row.tenant === '');
  for (const id of ['{{TENANT}}', 'a b', '', 'ż', 'x'.repeat(129), 5, null, undefined, ['acme']]) {
    const { headers, body } = await sent({ tenant: { id }, user: { user_id: userId, created_at: createdAt } });
    assert.equal(headers['idempotency-key'], eventId);
    assert.deepEqual(JSON.parse(body), { userId });
  }
});

test('what is not known is empty', async () => {
  const { tenant, userId, eventId } = testdata('ids.json').find(({ createdAt }) => createdAt === '');
  for (const created_at of [undefined, null, 5]) {
    const { headers } = await sent({ tenant: { id: tenant }, user: { user_id: userId, created_at } });
    assert.equal(headers['idempotency-key'], eventId);
  }
  const known = testdata('ids.json').find((row) => row.tenant === '');
  const { headers } = await sent({ user: { user_id: known.userId, created_at: known.createdAt } });
  assert.equal(headers['idempotency-key'], known.eventId);
});

test('a time of creation that is a Date gives the id of its text', async () => {
  const { tenant, userId, createdAt, eventId } = testdata('ids.json')[0];
  const { headers } = await sent({ tenant: { id: tenant }, user: { user_id: userId, created_at: new Date(createdAt) } });
  assert.equal(headers['idempotency-key'], eventId);
  const none = testdata('ids.json').find((row) => row.createdAt === '');
  const { headers: invalid } = await sent({ tenant: { id: tenant }, user: { user_id: userId, created_at: new Date(NaN) } });
  assert.equal(invalid['idempotency-key'], none.eventId);
});

test('a user without an id is told', async () => {
  for (const user_id of [undefined, null, '', 5]) {
    const event = signup({ FUNCTION_URL: 'https://example.invalid/' });
    const { line } = await run({ ...event, user: { ...event.user, user_id } });
    assert.equal(line, 'user not sent: event.user.user_id is missing');
  }
});

test('an event without a user is told', async () => {
  for (const user of [undefined, null]) {
    const { line } = await run({ ...signup({ FUNCTION_URL: 'https://example.invalid/' }), user });
    assert.equal(line, 'user not sent: event.user is missing');
  }
});

test('users of every kind arrive as they are', async () => {
  for (const name of ['database-signup', 'passwordless-email', 'passwordless-sms', 'management-api']) {
    const event = testdata(`events/${name}.json`);
    assert.equal((await sent(event)).body, JSON.stringify({ userId: event.user.user_id, tenant: event.tenant.id }), name);
    const { body, headers } = await sent({ ...event, secrets: { SEND_PROFILE: 'true' } });
    assert.deepEqual(JSON.parse(body), { userId: event.user.user_id, tenant: event.tenant.id, user: event.user }, name);
    assert.equal(Number(headers['content-length']), Buffer.byteLength(body));
  }
});

test('a large profile arrives whole, and its lone surrogates as escapes', async () => {
  const user_metadata = { note: 'ż'.repeat(500_000), half: '\ud83d' };
  const event = signup({ SEND_PROFILE: 'true' });
  const { body } = await sent({ ...event, user: { ...event.user, user_metadata } });
  assert.deepEqual(JSON.parse(body).user.user_metadata, user_metadata);
  assert.ok(body.includes('"half":"\\ud83d"'));
});

test('ids with white space, line feeds and quotes go out as they are', async () => {
  for (const user_id of ['samlp|corp|jan kowalski', 'ad|corp|a\nb', 'oidc|c|\u00a0x', 'auth0|"\\', 'x'.repeat(1024)]) {
    const event = signup();
    assert.equal(JSON.parse((await sent({ ...event, user: { ...event.user, user_id } })).body).userId, user_id);
  }
});
