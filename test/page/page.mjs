// Drives the local page in Chromium. page_test.go runs it and tells it where things are; it answers with one line of
// JSON for each check, {"check", "error"}, and asks with {"ask"} for the program to be stopped and started, and for a
// message in the poison queue.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import {
  browser, colour, complaints, curl, drained, elsewhere, focused, hits, origin, page, post, screenshot,
  search, steps, tell, text, until, waiting,
} from './browser.mjs';

const user = 'auth0|61de2511fd334200aa221dff';
const other = 'auth0|72ef3622fe445311bb332e00';
let stored;
let kept; // the user whose event waited in the outbox

const checks = {
  'a newcomer is told how to begin': async () => {
    await page.goto(origin);
    await until(async () => assert.equal(await text('#connection'), 'Live'));
    await until(async () => assert.match(await text('#nothing'), /^Nothing registered yet/));
    assert.equal(await text('#curl'), curl);
    await page.locator('#copy').click();
    await until(async () => assert.equal(await page.evaluate(() => navigator.clipboard.readText()), curl));
    assert.equal(await text('#no-records'), 'No records yet.');
    await until(async () => assert.equal(await text('#outbox-empty'), 'Nothing waits for Kafka.'));
    assert.equal(await text('#outbox-counts'), '');
  },

  'the search finds the id just posted': async () => {
    stored = await post(user);
    assert.equal(stored.status, 200);
    assert.equal((await post(other)).status, 200);
    await page.locator('body').press('/');
    assert.equal((await focused()).id, 'query');
    await page.keyboard.type(user);
    await until(async () => assert.equal(await hits.count(), 3));
    const messages = await hits.locator('.message > .message').allInnerTexts();
    assert.deepEqual(messages, [`Forwarded to user-events[${stored.partition}]@${stored.offset}`, 'send user-events',
      `Received ID of the newly registered user: ${user}`]);
    await until(async () => assert.match(await text('#said'), /3 items/));
    assert.equal(new URL(page.url()).searchParams.get('q'), user);
  },

  'every id finds it, in any part': async () => {
    const operation = await hits.first().getAttribute('data-operation');
    for (const words of [stored.eventId, operation, '61DE2511', 'of the newly registered']) {
      await search(words);
      await until(async () => assert.ok((await text('#count')).includes(words)));
      assert.ok(await hits.count() >= 1, words);
    }
    await search('nobody');
    await until(async () => assert.match(await text('#count'), /^Nothing has “nobody” in it/));
    await search(user);
    await until(async () => assert.equal(await hits.count(), 3));
  },

  'a transaction: its parts in order, and its record': async () => {
    await hits.first().getByRole('button').click();
    assert.equal((await focused()).id, 'transaction-title');
    await until(async () => assert.equal(await text('#outcome'), 'Stored in Kafka'));
    // The host's request comes first, and by a way of its own.
    await until(async () => assert.deepEqual(await steps.locator('.message').allInnerTexts(), ['RegisterUser',
      `Received ID of the newly registered user: ${user}`, 'send user-events', `Forwarded to user-events[${stored.partition}]@${stored.offset}`]));
    const offsets = (await steps.locator('.offset').allInnerTexts()).map((offset) => parseFloat(offset));
    assert.deepEqual(offsets, offsets.toSorted((a, b) => a - b));
    assert.equal(offsets[0], 0);

    const record = page.locator('#stored');
    await until(async () => assert.equal(await record.locator('dd').nth(2).innerText(), user));
    assert.equal(await record.locator('dd').nth(0).innerText(), `user-events[${stored.partition}]@${stored.offset}`);
    assert.equal(await record.locator('dd').nth(3).innerText(), JSON.stringify({ userId: user }));
    const rows = await record.locator('tbody tr').evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText)));
    const headers = Object.fromEntries(rows);
    assert.equal(headers.ce_id, stored.eventId);
    const send = steps.nth(2).locator('details').first();
    assert.equal(await send.locator('dl').isVisible(), false);
    await send.locator('summary').first().click();
    const id = await send.locator('dt', { hasText: /^id$/ }).locator('+ dd').innerText();
    const [, operation, parent] = headers.traceparent.split('-');
    assert.equal(operation, await hits.first().getAttribute('data-operation'));
    assert.equal(parent, id, 'the record names the send as its parent');
  },

  'the newest records are there': async () => {
    const keys = await page.locator('#record-rows .key').allInnerTexts();
    assert.deepEqual(keys, [other, user]);
  },

  'a screen reader finds its way': async () => {
    await page.locator('#close').click();
    const tree = await page.locator('body').ariaSnapshot();
    for (const line of ['- banner:', '- heading "userrelay" [level=1]', '- main:', '- search:', '- status: Live',
      '- switch "Kafka broker" [checked]', '- searchbox "User id, event id, operation id, or any text"', '- region "Telemetry"',
      '- heading "Telemetry" [level=2]', '- table "Telemetry"', '- columnheader "Time"', '- columnheader "Message"',
      '- region "Outbox"', '- heading "Outbox" [level=2]',
      'button "Open transaction: send user-events"', '- region "Newest records of user-events"', '- columnheader "Place"']) {
      assert.ok(tree.includes(line), `${line} is not in\n${tree}`);
    }
    assert.deepEqual(tree.match(/- (button|link|searchbox|switch|textbox)(?! ")/g), null, 'something to use has no name');
  },

  'the keyboard reaches everything': async () => {
    const next = async () => {
      await page.keyboard.press('Tab');
      const at = await focused();
      assert.ok(at.visible || at.body, `the focus on ${at.id || at.name} cannot be seen`);
      return at.body ? 'the end' : at.id || at.name;
    };
    for (let i = 0; await next() !== 'the end'; i++) assert.ok(i < 50, 'Tab does not get out of the page');
    const reached = [];
    for (let at = await next(); at !== 'the end'; at = await next()) reached.push(at);
    const wanted = ['Skip to the search', 'switch', 'query', 'register', 'Register one with curl', 'Open transaction: send user-events'];
    for (const name of wanted) assert.ok(reached.includes(name), `${name} is not among ${reached}`);
    await hits.nth(1).getByRole('button').focus();
    await page.keyboard.press('Enter');
    await until(async () => assert.equal(await text('#outcome'), 'Stored in Kafka'));
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('#transaction').isVisible(), false);
    assert.equal((await focused()).name, 'Open transaction: send user-events');
    await page.goBack();
    await page.goForward();
  },

  'with the broker stopped an event waits in the outbox': async () => {
    await page.locator('#switch').click();
    await until(async () => assert.equal(await text('#said'), 'The Kafka broker is stopped.'));
    assert.equal(await page.locator('#switch').getAttribute('aria-checked'), 'false');
    await until(async () => assert.equal(await page.locator('#unreadable').isVisible(), true)); // no connection is left
    await page.locator('#register').click();
    await until(async () => assert.equal(await text('#registered'), 'Kept in the outbox until Kafka can be reached'));
    await until(async () => assert.equal(await text('#outbox-counts'), '1 waiting'));
    await until(async () => assert.equal(await waiting.count(), 1));
    kept = await page.locator('#query').inputValue();
    assert.match(kept, /^auth0\|[0-9a-f]{24}$/);
    const row = await waiting.innerText();
    assert.ok(row.includes(kept) && row.includes('unavailable'), row);
    assert.equal(await page.locator('#outbox-empty').isVisible(), false);
    const hit = hits.filter({ hasText: 'Kafka unavailable, kept in the outbox' });
    await until(async () => assert.equal(await hit.count(), 1));
    assert.match(await hit.innerText(), /Warning[^]*unavailable/);
    assert.equal(await hit.locator('.badge').first().evaluate((node) => getComputedStyle(node).color), await colour('--warn-text'));
    await waiting.getByRole('button').press('Enter');
    await until(async () => assert.match(await text('#outcome'), /Waits in the outbox\s+unavailable/));
    assert.match(await text('#stored-note'), /^There is none yet: the event waits in the outbox/);
  },

  'records that cannot be read are said to be so': async () => {
    await until(async () => assert.match(await text('#unreadable'), /^Kafka cannot be reached\. These were read before/));
    await page.locator('#record-rows tr', { hasText: other }).getByRole('button').click();
    await until(async () => assert.match(await text('#stored-note'), /^Kafka cannot be reached, so .* cannot be read now/));
    await page.locator('#switch').click();
    await until(async () => assert.equal(await text('#said'), 'The Kafka broker is running.'));
    await until(async () => assert.equal(await page.locator('#stored dd').nth(2).innerText(), other));
    assert.equal(await page.locator('#unreadable').isVisible(), false);
  },

  'what waited drains by itself, and the page says so': async () => {
    await until(async () => assert.equal(await text('#outbox-empty'), 'Nothing waits for Kafka.'), 150);
    await until(async () => assert.equal(await drained.count(), 1));
    assert.equal(await waiting.count(), 0);
    assert.equal(await text('#outbox-counts'), '');
    const row = await drained.innerText();
    assert.ok(row.includes(kept), row);
    assert.match(row, /after [\d.]+ (ms|s|min)/);
    const place = row.match(/user-events\[\d+\]@\d+/)[0];
    await until(async () => assert.equal(await page.locator('#record-rows tr', { hasText: kept }).count(), 1));
    await drained.getByRole('button').click();
    await until(async () => assert.equal(await text('#outcome'), 'Stored in Kafka'));
    await until(async () => assert.equal(await page.locator('#stored dd').nth(0).innerText(), place));
  },

  'new items come in by themselves, without motion for those who want none': async () => {
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await search('');
    await page.locator('#register').click();
    await until(async () => assert.match(await text('#registered'), /^Stored as user-events/));
    await until(async () => assert.equal(await page.locator('#record-rows tr').count(), 4));
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  },

  'it looks right in light and dark': async () => {
    await search('');
    await until(async () => assert.ok(await hits.count() >= 12));
    await page.locator('#hit-rows tr', { hasText: 'Drained' }).first().getByRole('button').click();
    await until(async () => assert.equal(await page.locator('#stored dl').count(), 1));
    await page.mouse.move(0, 0);
    await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
    const images = {};
    for (const colorScheme of ['dark', 'light']) {
      await page.emulateMedia({ colorScheme });
      images[colorScheme] = await page.screenshot();
    }
    if (screenshot) writeFileSync(screenshot, images.light);
    assert.ok(images.light.length > 20_000 && images.dark.length > 20_000);
    assert.notDeepEqual(images.light, images.dark);
  },

  'a poisoned message is shown as it was, and is never HTML': async () => {
    const evil = '<img src=x onerror="document.title=1">\u202e';
    tell({ ask: 'poison', text: evil });
    await until(async () => assert.equal(await text('#outbox-counts'), '1 poisoned'));
    await until(async () => assert.equal(await text('#said'), '1 poisoned in the outbox.'));
    const message = page.locator('#poisoned-rows > li');
    assert.match(await message.innerText(), /^no event/);
    await message.locator('summary').click();
    assert.equal(await message.locator('pre').textContent(), evil);
    assert.equal(await page.locator('#poisoned-rows img').count(), 0);
  },

  'an event that is nowhere is shown as such': async () => {
    const lost = 'auth0|lost';
    await fetch(`${origin}/v2.1/track`, { method: 'POST', body: JSON.stringify({
      name: 'Message', time: new Date().toISOString(), tags: { 'ai.operation.id': 'lost' },
      data: { baseType: 'MessageData', baseData: { message: 'Not stored', severityLevel: 3,
        properties: { event: 'refused', userId: lost, errorClass: 'unavailable' } } } }) });
    await search(lost);
    await until(async () => assert.equal(await hits.count(), 1));
    assert.match(await hits.innerText(), /Error[^]*Not stored[^]*unavailable/);
    assert.equal(await hits.locator('.badge').first().evaluate((node) => getComputedStyle(node).color), await colour('--bad-text'));
    await hits.getByRole('button').press('Enter');
    await until(async () => assert.match(await text('#outcome'), /Not stored\s+unavailable/));
    assert.equal(await text('#stored-note'), 'There is none: this registration was not stored.');
  },

  'it fits a narrow screen': async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    const width = () => page.evaluate(() => document.scrollingElement.scrollWidth);
    assert.equal(await width(), 360);
    await page.locator('#steps summary').first().click();
    assert.equal(await width(), 360);
    await page.setViewportSize({ width: 1200, height: 800 });
  },

  'nothing complains, and nothing goes elsewhere': async () => {
    assert.deepEqual(complaints, []);
    assert.deepEqual(elsewhere, []);
  },

  'it says that the program is gone, and comes back with it': async () => {
    tell({ ask: 'stop' });
    await until(async () => assert.equal(await text('#connection'), 'Not connected'));
    assert.match(await text('#gone'), /does not answer since/);
    tell({ ask: 'start' });
    await until(async () => assert.equal(await text('#connection'), 'Live'));
    await until(async () => assert.match(await text('#nothing'), /^Nothing registered yet/));
    assert.equal(await page.locator('#gone').isVisible(), false);
    assert.equal(await hits.count(), 0);
  },
};

try {
  for (const [check, run] of Object.entries(checks)) {
    let error;
    await run().catch((reason) => { error = reason.message; });
    tell({ check, error });
    if (error) break; // the next ones begin where this one ends
  }
} finally {
  await browser.close();
}
