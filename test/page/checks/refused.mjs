// Requests that were refused, and the composer.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { clip, functionURL, page, post, row, rows, search, text, until } from '../browser.mjs';

const plain = functionURL.split('?')[0];

// refusals: what is sent, and what the page must show of it.
const refusals = [
  { status: 400, url: functionURL, body: '{"userid":"typing error"}', answer: /userId: is missing/, hint: /names the member/ },
  { status: 401, url: plain, body: '{"userId":"no key"}', answer: /empty, by the Functions host/, hint: /There is no key/ },
  { status: 401, url: `${plain}?code=wrong-key-of-somebody`, body: '{"userId":"wrong key"}', answer: /by the Functions host/, hint: /not the function's/ },
  { status: 404, url: plain.replace('RegisterUser', 'registeruser/produce/users'), body: '{"value":{}}', answer: /by the Functions host/, hint: /There is no function at this path/ },
  { status: 404, url: functionURL, method: 'PUT', body: '{"userId":"put"}', answer: /by the Functions host/, hint: /POST only/ },
  { status: 413, url: functionURL, body: `{"userId":"large","user":"${'x'.repeat(17 << 20)}"}`, answer: /at most 16 MiB/, hint: /larger than/ },
  { status: 415, url: functionURL, body: '<user/>', type: 'application/xml', answer: /Content-Type: must be/, hint: /application\/json/ },
];

export const refused = {
  'a request that was refused is a row, with body, answer and what fixes it': async () => {
    for (const { status, url, method = 'POST', body, type = 'application/json', answer, hint } of refusals) {
      const got = await fetch(url, { method, body, headers: { 'content-type': type } });
      assert.equal(got.status, status);
      await search(`status:${status}`);
      await until(async () => assert.match(await rows.first().innerText(), new RegExp(`^Refused\\s+${method} /api/`)));
      await until(async () => { // the first row may still be an earlier one of this status
        await rows.first().click();
        await text('#request').then((shown) => assert.match(shown, hint)).catch(async (e) => {
          await page.keyboard.press('Escape');
          throw e;
        });
      });
      const shown = await text('#request');
      assert.ok(shown.includes(body.slice(0, 24)), shown.slice(0, 500));
      assert.match(shown, answer);
      assert.ok(!shown.includes('wrong-key-of-somebody') && !(await page.content()).includes('wrong-key-of-somebody'), 'a key is shown');
      await page.keyboard.press('Escape');
    }
  },

  'an event id of another user, and a repeat': async () => {
    assert.equal((await post('auth0|first', { 'idempotency-key': 'one-key' })).status, 200);
    assert.equal((await post('auth0|first', { 'idempotency-key': 'one-key' })).status, 200);
    assert.equal((await post('auth0|second', { 'idempotency-key': 'one-key' })).status, 422);
    await search('status:422');
    await until(async () => assert.match(await rows.first().innerText(), /^Refused\s+auth0\|second\s+422 The event id/));
    await rows.first().click();
    await until(async () => assert.match(await text('#request'), /Make a new Idempotency-Key[^]*Idempotency-Key\s+one-key/));
    await page.keyboard.press('Escape');
    await search('user:auth0|first');
    await until(async () => assert.equal((await rows.allInnerTexts()).filter((line) => line.startsWith('Repeat')).length, 1));
    await search('');
  },

  'an event of another type is not a refusal': async () => {
    const answer = await fetch(functionURL, { method: 'POST', body: '{"specversion":"1.0","type":"user.updated","id":"evt_7"}' });
    assert.equal(answer.status, 200);
    await until(async () => assert.match(await rows.first().innerText(), /^Ignored\s+POST \/api\/RegisterUser/));
  },

  'the composer has the forms that callers send': async () => {
    await page.locator('#tab-send').click();
    for (const form of ['id', 'user', 'cloudevent', 'article', 'kafkarest']) {
      await page.locator('#form').selectOption(form);
      await page.getByRole('button', { name: 'Send', exact: true }).click();
      await until(async () => assert.match(await text('#sent'), /^Stored as user-events\[\d\]@\d+/, form));
      await until(async () => assert.match(await text('#answer'), /"eventId"/));
    }
    await page.locator('#body').fill('{"userId":7}');
    assert.equal(await page.locator('#form').inputValue(), 'own');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await until(async () => assert.match(await text('#sent'), /^400: userId: /));
  },

  'it sends many, with a key of one\'s own or without the function\'s': async () => {
    await page.locator('#form').selectOption('id');
    const before = Number((await text('#number-stored')).replace(/\D/g, ''));
    await page.getByRole('button', { name: 'Send 50' , exact: true }).click();
    await until(async () => assert.match(await text('#sent'), /^50 × 200 in /));
    await until(async () => assert.ok(Number((await text('#number-stored')).replace(/\D/g, '')) >= before + 50));
    await page.locator('#idempotency-key').fill('composed-1');
    for (let i = 0; i < 2; i++) {
      await page.locator('#body').fill('{"userId":"auth0|composed"}');
      await page.getByRole('button', { name: 'Send', exact: true }).click();
      await until(async () => assert.match(await text('#sent'), /^Stored as/));
    }
    await search('user:auth0|composed');
    await until(async () => assert.equal(await rows.count(), 2));
    await until(async () => assert.equal(await row('Repeat').count(), 1));
    await page.locator('#without-key').check();
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await until(async () => assert.match(await text('#sent'), /^401: the function's key is missing/));
    await page.locator('#without-key').uncheck();
    await page.locator('#idempotency-key').fill('');
    await search('');
  },

  'the copied curl line does what the composer does': async () => {
    await page.locator('#body').fill('{"userId":"auth0|it\'s {{id}}"}');
    await page.getByRole('button', { name: 'Copy as curl' }).click();
    await until(async () => assert.match(await clip(), /^curl -i/));
    const line = await clip();
    if (process.platform !== 'win32') {
      const out = execFileSync('sh', ['-c', line.replace('curl -i', 'curl -s')], { encoding: 'utf8' });
      assert.match(out, /"eventId"/);
      await until(async () => assert.equal(await row('auth0|it\'s').count(), 1));
    }
    await page.locator('#form').selectOption('id');
    await page.locator('#tab-outbox').click();
  },

  'what the page registers is in the list, whatever the search is for': async () => {
    await search('user:nobody');
    await page.getByRole('button', { name: 'Register a test user' }).click();
    await until(async () => assert.match(await text('#registered'), /^Stored as [^]*The search may hide it/));
    assert.equal(await page.locator('#query').inputValue(), 'user:nobody', 'the search is the user\'s');
    await page.getByRole('button', { name: 'Show all' }).click();
    await until(async () => assert.ok(await rows.count() > 3));
    assert.equal((await post('auth0|from-curl')).status, 200);
    await until(async () => assert.equal(await row('auth0|from-curl').count(), 1));
  },
};
