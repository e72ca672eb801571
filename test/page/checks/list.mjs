// The list of registrations, its search and its keys, and one of them.
import assert from 'node:assert/strict';
import { clip, curl, focused, origin, page, post, row, rows, search, steps, text, until } from '../browser.mjs';

const user = 'auth0|61de2511fd334200aa221dff';
const other = 'auth0|72ef3622fe445311bb332e00';
let stored;

export const list = {
  'a newcomer is told how to begin': async () => {
    await page.goto(origin);
    await until(async () => assert.equal(await text('#connection'), 'Live'));
    await until(async () => assert.match(await text('#nothing'), /^Nothing registered yet\. Register a test user/));
    await page.locator('#how summary').click();
    assert.equal(await text('#curl'), curl);
    await page.getByRole('button', { name: 'Copy the line' }).click();
    await until(async () => assert.equal(await clip(), curl));
    await until(async () => assert.equal(await text('#outbox-empty'), 'Nothing waits for Kafka.'));
    assert.equal(await page.locator('#list').isVisible(), false);
    await page.locator('#how summary').click();
  },

  'each registration is one row': async () => {
    stored = await post(user);
    assert.equal(stored.status, 200);
    assert.equal((await post(other)).status, 200);
    await until(async () => assert.equal(await rows.count(), 2));
    await until(async () => assert.match(await row(user).innerText(), /^Stored\s+auth0\|61de2511fd334200aa221dff/));
    const at = await row(user).innerText();
    assert.ok(at.includes(`[${stored.partition}]@${stored.offset}`), at);
    assert.match(at, /[\d.]+ m?s\s+\d+ s$/);
    assert.match(await row(other).getAttribute('aria-label'), /^Stored, auth0\|72ef3622fe445311bb332e00, record \[\d\]@\d+, [\d.]+ m?s, at \d\d:\d\d:\d\d$/);
    assert.equal(await text('#number-stored'), '2 stored');
    assert.match(await text('#strip .times'), /p50 [\d.]+ m?s p99 [\d.]+ m?s of the last minute/);
  },

  'the search: words, fields, marks': async () => {
    for (const [words, count] of [
      [user, 1], ['61DE2511', 1], ['auth0|', 2], [`user:${user.slice(-6)}`, 1], [`event:${stored.eventId}`, 1], [stored.eventId, 1],
      ['outcome:stored', 2], ['stored', 2], ['outcome:waiting', 0], ['class:unavailable', 0], ['status:200', 2], ['user:', 2], ['nobody', 0],
      ['de', 0], ['0', 2], // "0" is in auth0; "de" is in hexadecimal numbers only
    ]) {
      await search(words);
      await until(async () => assert.equal(await rows.count(), count, words));
    }
    await search('nobody');
    await until(async () => assert.match(await text('#count'), /^None of the 2 registrations kept here matches/));
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await until(async () => assert.equal(await rows.count(), 2));
    await search('user:61de2511');
    await until(async () => assert.deepEqual(await page.locator('#rows mark').allInnerTexts(), ['61de2511']));
    assert.equal(new URL(page.url()).searchParams.get('q'), 'user:61de2511');
    await search('');
  },

  'the numbers and the bars filter': async () => {
    await page.locator('#number-stored').click();
    await until(async () => assert.equal(await page.locator('#query').inputValue(), 'outcome:stored'));
    assert.equal(await page.locator('#number-stored').getAttribute('aria-pressed'), 'true');
    await page.locator('#number-refused').click();
    await until(async () => assert.equal(await rows.count(), 0));
    await page.locator('#number-refused').click();
    await until(async () => assert.equal(await rows.count(), 2));
    const fresh = await post('auth0|bar');
    assert.equal(fresh.status, 200);
    await until(async () => assert.equal(await rows.count(), 3));
    const bar = page.locator('.second[aria-label*="1 stored"]').last();
    await bar.click();
    await until(async () => assert.match(await page.locator('#query').inputValue(), /^at:\d\d:\d\d:\d\d$/));
    await until(async () => assert.ok(await row('auth0|bar').count() === 1 || await rows.count() < 3));
    await search('');
  },

  'the keyboard alone: search, move, open, close': async () => {
    await until(async () => assert.equal(await rows.count(), 3));
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('/');
    assert.equal((await focused()).id, 'query');
    await page.keyboard.type('auth0|');
    await page.keyboard.press('ArrowDown');
    assert.equal((await focused()).id, 'list');
    await page.keyboard.press('Home');
    const active = () => page.evaluate(() => document.getElementById(document.getElementById('list').getAttribute('aria-activedescendant'))?.querySelector('.who').textContent);
    await until(async () => assert.equal(await active(), 'auth0|bar'));
    await page.keyboard.press('j');
    await until(async () => assert.equal(await active(), other));
    await page.keyboard.press('ArrowDown');
    await until(async () => assert.equal(await active(), user));
    await page.keyboard.press('k');
    await page.keyboard.press('Home');
    await until(async () => assert.equal(await active(), 'auth0|bar'));
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await until(async () => assert.equal((await focused()).id, 'detail-title'));
    await until(async () => assert.match(await text('#outcome'), /^Stored/));
    assert.ok((await text('#summary')).includes(user));
    await page.keyboard.press('Escape');
    await until(async () => assert.equal(await page.locator('#detail').isVisible(), false));
    assert.equal((await focused()).id, 'list');
    await search('');
  },

  'the Tab key reaches everything, and the list is one stop': async () => {
    const next = async () => {
      await page.keyboard.press('Tab');
      const at = await focused();
      assert.ok(at.visible || at.body, `the focus on ${at.id || at.name} cannot be seen`);
      return at.body ? 'the end' : at.id || at.name;
    };
    for (let i = 0; await next() !== 'the end'; i++) assert.ok(i < 60, 'Tab does not get out of the page');
    const reached = [];
    for (let at = await next(); at !== 'the end'; at = await next()) reached.push(at);
    for (const name of ['Skip to the search', 'number-stored', 'switch', 'register', 'query', 'list', 'Register one with curl', 'tab-outbox']) {
      assert.ok(reached.includes(name), `${name} is not among ${reached}`);
    }
    assert.ok(reached.length < 20, `${reached.length} stops: ${reached}`);
    await page.locator('#tab-outbox').focus();
    for (const tab of ['topic', 'send', 'notes', 'metrics', 'outbox']) {
      await page.keyboard.press('ArrowRight');
      assert.equal((await focused()).id, `tab-${tab}`);
      assert.equal(await page.locator(`#panel-${tab}`).isVisible(), true);
    }
  },

  'one registration: its parts in order, its ids, and its record': async () => {
    await row(user).click();
    await until(async () => assert.deepEqual(await steps.locator('.message').allInnerTexts(), ['RegisterUser',
      `Received ID of the newly registered user: ${user}`, 'send user-events', `Forwarded to user-events[${stored.partition}]@${stored.offset}`]));
    const offsets = (await steps.locator('.offset').allInnerTexts()).map((offset) => parseFloat(offset));
    assert.deepEqual(offsets, offsets.toSorted((a, b) => a - b));
    const summary = await text('#summary');
    for (const part of [user, stored.eventId, `user-events[${stored.partition}]@${stored.offset}`]) assert.ok(summary.includes(part), summary);
    await until(async () => assert.equal(await page.locator('#stored dd').nth(2).innerText(), user));
    const cells = await page.locator('#stored td').allInnerTexts();
    const headers = Object.fromEntries(Array.from({ length: cells.length / 2 }, (_, i) => [cells[2 * i], cells[2 * i + 1]]));
    assert.equal(headers.ce_id, stored.eventId);
    const send = steps.nth(2).locator('details').first();
    await send.locator('summary').first().click();
    const id = await send.locator('dt', { hasText: /^id$/ }).locator('+ dd').innerText();
    assert.equal(headers.traceparent.split('-')[2], id, 'the record names the send as its parent');
  },

  'its address, its title, and the way back': async () => {
    const url = new URL(page.url());
    assert.match(url.searchParams.get('open'), /^[0-9a-f]{32}$/);
    assert.match(await page.title(), /^auth0\|61de2511fd334200aa221dff · Stored/);
    await page.goto(url.href); // as somebody to whom the link was sent
    await until(async () => assert.match(await text('#summary'), /61de2511fd334200aa221dff/));
    await page.goto(origin);
    await until(async () => assert.equal(await rows.count(), 3));
    await row(other).click();
    await until(async () => assert.match(await text('#summary'), /72ef3622fe445311bb332e00/));
    await page.goBack();
    await until(async () => assert.equal(await page.locator('#detail').isVisible(), false));
    assert.equal(await page.title(), 'userrelay on this machine');
    await page.goForward();
    await until(async () => assert.match(await text('#summary'), /72ef3622fe445311bb332e00/));
  },

  'what can be copied says that it was': async () => {
    for (const [name, pattern] of [
      ['Copy the user id', /^auth0\|72ef3622fe445311bb332e00$/], ['Copy the event id', /^a0pur_[0-9a-f]{32}$/], ['Copy the operation id', /^[0-9a-f]{32}$/],
      ['Copy Link', /^http:\/\/127\.0\.0\.1:\d+\/\?open=[0-9a-f]{32}$/], ['Copy curl', /^curl -i 'http.*'auth0|.*/s],
      ['Copy kcat', /^kcat -b 127\.0\.0\.1:\d+ -t user-events -p \d -o \d+ -c 1 -e -J$/], ['Copy KQL', /^union requests, traces, .*\n\| where operation_Id == "[0-9a-f]{32}"/],
    ]) {
      const button = page.getByRole('button', { name, exact: true });
      await button.click();
      await until(async () => assert.equal(await button.innerText(), 'Copied', name));
      await until(async () => assert.match(await clip(), pattern));
      await until(async () => assert.notEqual(await button.innerText(), 'Copied', name));
    }
    assert.equal(await text('#said'), 'Copied.');
    await page.keyboard.press('Escape');
  },

  'a screen reader finds its way': async () => {
    await page.locator('#tab-topic').click();
    const tree = await page.locator('body').ariaSnapshot();
    for (const line of ['- banner:', '- heading "userrelay" [level=1]', '- main:', '- search:', '- status: Live',
      '- switch "Kafka broker" [checked]', '- heading "Registrations" [level=2]', '- listbox "Registrations"', '- option "Stored, auth0|',
      '- tab "Topic" [selected]', '- tabpanel "Topic"', '- region "Numbers"', '- region "The way of a registration"', '- columnheader "Place"']) {
      assert.ok(tree.includes(line), `${line} is not in\n${tree}`);
    }
    assert.deepEqual(tree.match(/- (button|link|searchbox|switch|textbox|combobox)(?! ")/g), null, 'something to use has no name');
    await page.locator('#tab-outbox').click();
  },
};
