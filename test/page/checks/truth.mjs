// What the page says is so: of what is gone, of other tabs, and of a program that has ended.
import assert from 'node:assert/strict';
import { complaints, elsewhere, origin, page, post, row, rows, search, tell, text, track, until } from '../browser.mjs';

const item = (i, event) => ({
  name: 'Message', time: new Date().toISOString(), tags: { 'ai.operation.id': `flood-${i}` },
  data: { baseType: 'MessageData', baseData: { message: event, severityLevel: 1, properties: { event, userId: `auth0|flood-${i}`, eventId: `flood-${i}` } } },
});

export const truth = {
  'an event that is nowhere is shown as such': async () => {
    await track({
      name: 'Message', time: new Date().toISOString(), tags: { 'ai.operation.id': 'lost' },
      data: { baseType: 'MessageData', baseData: { message: 'Not stored', severityLevel: 3, properties: { event: 'refused', userId: 'auth0|lost', eventId: 'e', errorClass: 'unavailable' } } },
    });
    await until(async () => assert.match(await row('auth0|lost').innerText(), /^Refused\s+auth0\|lost\s+unavailable/));
    await row('auth0|lost').click();
    await until(async () => assert.equal(await text('#stored-note'), 'There is none: this registration was not stored.'));
    await page.keyboard.press('Escape');
  },

  'six tabs work: those that nobody looks at have no event stream': async () => {
    const others = [];
    for (let i = 0; i < 7; i++) {
      const tab = await page.context().newPage();
      await tab.goto(origin);
      await tab.evaluate(() => { // headless tabs are all visible: they are told that they are not
        Object.defineProperty(document, 'hidden', { get: () => true, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      });
      others.push(tab);
    }
    assert.equal((await post('auth0|seventh-tab')).status, 200);
    await until(async () => assert.equal(await row('auth0|seventh-tab').count(), 1));
    const last = others.at(-1);
    await last.evaluate(() => {
      Object.defineProperty(document, 'hidden', { get: () => false, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await until(async () => assert.equal(await last.locator('#rows > .row', { hasText: 'auth0|seventh-tab' }).count(), 1));
    for (const tab of others) await tab.close();
  },

  'what is not kept any more is said to be so': async () => {
    for (let batch = 0; batch < 21; batch++) await track(...Array.from({ length: 500 }, (_, i) => item(500 * batch + i, 'forwarded')));
    await until(async () => assert.match(await text('#count'), /^10000 registrations\. [\d]+ older ones are not kept here any more\.$/));
    await search('user:auth0|bar'); // of long ago; the newest ones are found in the topic
    await until(async () => assert.match(await text('#count'), /^None of the 10000 registrations kept here matches\. \d+ older ones are not kept here any more/));
    await search('flood-10499');
    await until(async () => assert.equal(await rows.count(), 1));
    await search('');
  },

  'nothing complains, and nothing goes elsewhere': async () => {
    assert.deepEqual(complaints, []);
    assert.deepEqual(elsewhere, []);
  },

  'it says that the program is gone, and comes back with it': async () => {
    tell({ ask: 'stop' });
    await until(async () => assert.equal(await text('#connection'), 'Not connected'));
    assert.match(await text('#gone'), /does not answer since/);
    await page.locator('#switch').click();
    await until(async () => assert.match(await text('#switch-failed'), /^The broker was not switched: the program behind this page does not answer/));
    assert.equal(await text('#broker-state'), 'not known');
    tell({ ask: 'start' });
    await until(async () => assert.equal(await text('#connection'), 'Live'));
    await until(async () => assert.equal(await text('#broker-state'), 'running'));
    assert.equal(await page.locator('#gone').isVisible(), false);
    assert.equal(await page.locator('#switch-failed').isVisible(), false);
  },

  'after a restart it knows what lies in the topic': async () => {
    await fetch(`${origin}/send`, { method: 'POST', body: JSON.stringify({ body: '{"userId":"auth0|after"}', count: 1 }) }); // its function has another port now
    await until(async () => assert.match(await row('auth0|after').innerText(), /^Stored/));
    await until(async () => assert.match(await row('auth0|seventh-tab').innerText(), /^Stored[^]*known from the topic only/), 30);
    assert.equal(await page.locator('#nothing').isVisible(), false);
    await row('auth0|seventh-tab').click();
    await until(async () => assert.match(await text('#summary'), /from the topic only/));
    await until(async () => assert.equal(await page.locator('#stored dd').nth(2).innerText(), 'auth0|seventh-tab'));
  },
};
