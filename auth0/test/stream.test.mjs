// What the Action of an Event Stream takes from the stream's events, and what it lets out of Auth0.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { created, key, run, serve, stored, streamed, testdata } from './rig.mjs';

// changed is the example event, with its message changed.
function changed(change, secrets) {
  const { message, ...event } = streamed(secrets);
  change(message);
  return { ...event, message };
}

async function sent(change, answered = stored) {
  return serve(answered, async ({ url, seen }) => {
    const { line, threw } = await run(changed(change, { FUNCTION_URL: url, FUNCTION_KEY: key }), { of: created });
    return { line, threw, seen, body: seen[0] && JSON.parse(seen[0].body), text: seen[0]?.body };
  });
}

const answering = (eventId) => (res) => res.end(JSON.stringify({ eventId, topic: 'user-events', partition: 0, offset: 1, timestamp: 1 }));

test('only ids leave Auth0: nothing of the profile, nothing of the request', async () => {
  const { body, seen } = await sent(() => {});
  assert.deepEqual(body, {
    specversion: '1.0', type: 'user.created', id: 'evt_9WkTq2vXn4hRfYcLsB7pZd', source: 'urn:auth0:acme-dev.eu.auth0.com',
    time: '2026-11-21T19:00:05.020Z', a0tenant: 'acme-dev', a0stream: 'est_38ANnv8pQhqsZrX2VFbftv',
    data: { object: { user_id: 'waad|Kx3-9_qwZ', created_at: '2026-11-21T19:00:05.001Z' } },
  });
  assert.equal(seen[0].headers['idempotency-key'], undefined); // the function knows a repeat by the event's own source and id
});

test('a test event stays one', async () => {
  const { body } = await sent((m) => { m.a0purpose = 'test'; });
  assert.equal(body.a0purpose, 'test');
});

test('events of other types are not sent, and are no failure', async () => {
  for (const [type, said] of [
    ['user.updated', 'user.updated'], ['user.deleted', 'user.deleted'], ['organization.created', 'organization.created'],
    ['superuser.created', 'superuser.created'], ['jane.doe+test@example.com', 'unknown'], [undefined, 'unknown'], [5, 'unknown'], ['x'.repeat(65), 'unknown'],
  ]) {
    const { line, threw, seen } = await sent((m) => { m.type = type; });
    assert.equal(threw, false);
    assert.equal(line, `nothing sent: events of type ${said} are not forwarded`);
    assert.equal(seen.length, 0);
  }
  assert.equal((await sent((m) => { m.type = 'com.auth0.user.created'; })).seen.length, 1);
});

test('an event that names no user is told', async () => {
  for (const [change, said] of [
    [(m) => { delete m.data; }, 'event.message.data.object.user_id is missing'],
    [(m) => { m.data = null; }, 'event.message.data.object.user_id is missing'],
    [(m) => { m.data.object = null; }, 'event.message.data.object.user_id is missing'],
    [(m) => { m.data.object.user_id = 5; }, 'event.message.data.object.user_id is missing'],
    [(m) => { m.data.object.user_id = ''; }, 'event.message.data.object.user_id is missing'],
  ]) {
    const { line, threw, seen } = await sent(change);
    assert.equal(threw, true);
    assert.equal(line, `user not sent: ${said}`);
    assert.equal(seen.length, 0);
  }
  const { line } = await run({ ...streamed({ FUNCTION_URL: 'https://example.invalid/' }), message: undefined }, { of: created });
  assert.equal(line, 'user not sent: event.message is missing');
});

test('what is not text in the envelope is left out', async () => {
  const { body, threw } = await sent((m) => {
    Object.assign(m, { id: 5, source: null, time: {}, a0stream: [], a0purpose: true });
  });
  assert.equal(threw, false);
  assert.deepEqual(Object.keys(body), ['specversion', 'type', 'a0tenant', 'data']);
});

test('the tenant is that of the event, else that of its context', async () => {
  for (const [change, tenant] of [
    [(m) => { delete m.a0tenant; }, 'acme-dev'],
    [(m) => { m.a0tenant = '{{TENANT}}'; }, 'acme-dev'],
    [(m) => { delete m.a0tenant; delete m.data.context; }, undefined],
    [(m) => { delete m.a0tenant; m.data.context = { tenant: null }; }, undefined],
    [(m) => { m.a0tenant = 'other'; }, 'other'],
  ]) {
    assert.equal((await sent(change)).body.a0tenant, tenant);
  }
});

test('a time of creation that is a Date goes out as its text', async () => {
  const { body } = await sent((m) => { m.data.object.created_at = new Date('2026-11-21T19:00:05.001Z'); });
  assert.equal(body.data.object.created_at, '2026-11-21T19:00:05.001Z');
});

test('the line has the id that the function gave the event', async () => {
  for (const id of [created.id, 'evt_9WkTq2vXn4hRfYcLsB7pZd', `a0evt_${'0'.repeat(32)}`]) {
    const { line, threw } = await sent(() => {}, answering(id));
    assert.equal(threw, false);
    assert.match(line, new RegExp(`^user sent: HTTP 200, attempts=1, id=${id}, `));
  }
  for (const id of ['', 'evt_another', 5, null, undefined, {}, 'unknown2']) {
    const { line, threw } = await sent(() => {}, answering(id));
    assert.equal(threw, true);
    assert.match(line, new RegExp(`^user not sent: HTTP 200, but not from the function; check FUNCTION_URL, attempts=1, id=${created.id}, `));
  }
});

test('where the time is not known the id is Auth0\'s', async () => {
  const refusing = (res) => res.writeHead(422).end();
  for (const [change, id] of [
    [(m) => { delete m.data.object.created_at; }, 'evt_9WkTq2vXn4hRfYcLsB7pZd'],
    [(m) => { delete m.a0tenant; delete m.data.context; }, 'evt_9WkTq2vXn4hRfYcLsB7pZd'],
    [(m) => { delete m.data.object.created_at; delete m.id; }, 'unknown'],
    [(m) => { delete m.data.object.created_at; m.id = 'jane.doe test'; }, 'unknown'],
    [(m) => { delete m.data.object.created_at; m.id = 'x'.repeat(101); }, 'unknown'],
  ]) {
    const { line } = await sent(change, refusing);
    assert.match(line, new RegExp(`^user not sent: HTTP 422, attempts=1, id=${id}, trace=`));
  }
});

test('the webhook\'s example passes too: the action gets the same CloudEvent', async () => {
  const message = testdata('events/event-stream-social.json');
  await serve(stored, async ({ url, seen }) => {
    await run({ message, secrets: { FUNCTION_URL: url, FUNCTION_KEY: key } }, { of: created });
    assert.deepEqual(JSON.parse(seen[0].body).data, {
      object: { user_id: 'google-oauth2|103547991597142817347', created_at: '2026-11-21T19:00:04.001Z' },
    });
  });
});
