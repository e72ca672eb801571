// An outage from its beginning to its end, and what was given up.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { colour, drained, page, post, row, rows, screenshots, search, tell, text, until, waiting } from '../browser.mjs';

const many = 9;

export const outage = {
  'with the broker stopped events wait, and the page tells of the outage': async () => {
    await until(async () => assert.match(await text('#node-kafka'), /^Kafka\s+answers/));
    await page.locator('#switch').click();
    await until(async () => assert.equal(await page.locator('#switch').getAttribute('aria-checked'), 'false'));
    await until(async () => assert.match(await text('#node-kafka'), /^Kafka\s+does not answer/));
    assert.match(await text('#node-kafka'), /stopped/);
    for (let i = 0; i < many; i++) assert.equal((await post(`auth0|waits-${i}`)).status, 202);
    await until(async () => assert.equal(await text('#number-waiting'), `${many} waiting`));
    await until(async () => assert.match(await text('#outage-text'), new RegExp(`^Kafka away for [\\d.]+ m?s, ${many} waiting\\.`)));
    await until(async () => assert.match(await row('auth0|waits-0').innerText(), /^Waiting\s+auth0\|waits-0\s+unavailable/));
    await until(async () => assert.match(await text('#node-outbox'), new RegExp(`${many} waiting`)));
    assert.equal(await row('auth0|waits-0').locator('.badge').evaluate((node) => getComputedStyle(node).color), await colour('--warn-text'));
    await until(async () => assert.equal(await waiting.count(), many));
    await search('class:unavailable');
    await until(async () => assert.equal(await rows.count(), many));
    await row('auth0|waits-3').click();
    await until(async () => assert.match(await text('#outcome'), /Waiting\s+unavailable\s+answered 202/));
    await until(async () => assert.match(await text('#stored-note'), /^There is none yet: the event waits in the outbox/));
    await page.keyboard.press('Escape');
    await search('');
    if (screenshots) {
      await page.mouse.move(0, 0);
      await page.evaluate(() => { document.activeElement.blur(); document.getElementById('registered').replaceChildren(); scrollTo(0, 0); });
      writeFileSync(`${screenshots}/page-outage.png`, await page.screenshot());
    }
  },

  'records that cannot be read are said to be so': async () => {
    await page.locator('#tab-topic').click();
    await until(async () => assert.match(await text('#unreadable'), /^Kafka cannot be reached\. These were read before/));
    await page.locator('#record-rows tr', { hasText: 'auth0|from-curl' }).getByRole('button').click();
    await until(async () => assert.match(await text('#stored-note'), /^Kafka cannot be reached, so .* cannot be read now/));
    await page.keyboard.press('Escape');
    await page.locator('#tab-outbox').click();
  },

  'what waited drains by itself, and none is lost': async () => {
    await page.locator('#switch').click();
    await until(async () => assert.equal(await page.locator('#switch').getAttribute('aria-checked'), 'true'));
    await until(async () => assert.match(await text('#outage-text'), new RegExp(`^Kafka is back after [\\d.]+ \\w+: ${many} drained in [\\d.]+ m?s, 0 lost\\.`)), 150);
    assert.equal(await page.locator('#outage').getAttribute('data-tone'), 'good');
    assert.equal(await text('#number-waiting'), '0 waiting');
    await until(async () => assert.equal(await text('#outbox-empty'), 'Nothing waits for Kafka.'));
    assert.equal(await drained.count(), many);
    assert.match(await drained.first().innerText(), /after [\d.]+ (ms|s|min)/);
    await search('user:auth0|waits');
    await until(async () => assert.deepEqual((await rows.allInnerTexts()).map((line) => line.split('\n')[0]), Array(many).fill('Stored')));
    await until(async () => assert.match(await row('auth0|waits-5').innerText(), /[\d.]+ m?s in the outbox/));
    await row('auth0|waits-5').click();
    await until(async () => assert.equal(await page.locator('#stored dd').nth(2).innerText(), 'auth0|waits-5'));
    await page.keyboard.press('Escape');
    await search('');
    await page.getByRole('button', { name: 'Dismiss' }).click();
    assert.equal(await page.locator('#outage').isVisible(), false);
  },

  'what was given up is shown with its reason, never as HTML, and can be sent again': async () => {
    const evil = '<img src=x onerror="document.title=1">\u202e';
    tell({ ask: 'poison', text: evil });
    await until(async () => assert.equal(await text('#number-poisoned'), '1 poisoned'));
    tell({ ask: 'poison', text: JSON.stringify({
      specversion: '1.0', type: 'user.created', id: 'evt_given_up', source: 'urn:auth0:acme', time: new Date().toISOString(), subject: 'auth0|given-up',
      datacontenttype: 'application/json', queuedtime: new Date().toISOString(), errorclass: 'invalid', userrelayversion: 1, data: { userId: 'auth0|given-up' } }) });
    await until(async () => assert.equal(await text('#number-poisoned'), '2 poisoned'));
    const message = page.locator('#poisoned-rows > li', { hasText: 'onerror' });
    await until(async () => assert.match(await message.innerText(), /^no event/));
    await message.locator('summary').click();
    assert.equal(await message.locator('pre').textContent(), evil.replace('\u202e', '\\u202e'));
    assert.equal(await page.locator('#poisoned-rows img').count(), 0);
    await page.getByRole('button', { name: 'Resend' }).click();
    await until(async () => assert.match(await text('#resent'), /^1 put back into the outbox, 1 left that cannot be drained\.$/));
    await until(async () => assert.equal(await text('#number-poisoned'), '1 poisoned'));
    await until(async () => assert.match(await row('auth0|given-up').innerText(), /^Stored/), 150);
  },
};
