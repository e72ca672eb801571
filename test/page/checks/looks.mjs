// How it looks: widths, light and dark, long and odd ids, and metrics beside registrations.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { page, post, row, rows, screenshots, search, text, track, until, wide } from '../browser.mjs';

const long = `samlp|${'x'.repeat(1000)}`;
const envelope = (name, baseType, baseData, tags = {}) => ({ name, time: new Date().toISOString(), tags, data: { baseType, baseData } });

export const looks = {
  'metrics have a name, a value and a place of their own': async () => {
    const before = await rows.count();
    const metrics = Array.from({ length: 300 }, (_, i) => envelope('Metric', 'MetricData', { metrics: [{ name: i % 2 ? '\\Process(x)\\Private Bytes' : 'HeartbeatState', value: i, count: 1 }] }));
    await track(...metrics);
    await page.locator('#tab-metrics').click();
    await until(async () => assert.equal(await page.locator('#metric-rows > tr').count(), 2));
    assert.match(await text('#metric-rows'), /HeartbeatState\s+298[^]*Private Bytes\s+299/);
    assert.equal(await rows.count(), before);
    await page.locator('#tab-notes').click();
    assert.ok(!(await text('#note-rows')).includes('HeartbeatState'));
    await page.locator('#tab-outbox').click();
  },

  'what nobody sees is shown as what it is': async () => {
    for (const [id, shown] of [['auth0|\u202eright', '"auth0|\\u202eright"'], ['auth0|zero\u200bwidth', '"auth0|zero\\u200bwidth"'], ['auth0|line\nfeed', '"auth0|line\\nfeed"']]) {
      assert.equal((await post(id)).status, 200);
      await search('');
      await until(async () => assert.equal(await page.locator('#rows .who', { hasText: shown }).count(), 1));
      await search(`user:${shown.slice(1, -1)}`);
      await until(async () => assert.equal(await rows.count(), 1));
      await rows.first().click();
      await until(async () => assert.ok((await text('#summary')).includes(shown)));
      assert.ok(!(await page.locator('body').innerText()).includes('\u202e'));
      await page.keyboard.press('Escape');
    }
    await search('');
  },

  'a long id makes nothing wider': async () => {
    assert.equal((await post(long)).status, 200);
    for (const width of [360, 1280, 1600]) {
      await page.setViewportSize({ width, height: 800 });
      await until(async () => assert.equal(await row('samlp|xxx').count(), 1));
      assert.equal(await wide(), width);
      await row('samlp|xxx').click();
      await until(async () => assert.ok((await text('#summary')).includes(long)));
      assert.equal(await wide(), width);
      await page.keyboard.press('Escape');
      await until(async () => assert.equal(await page.locator('#detail').isVisible(), false));
    }
  },

  'it fits every width, in light and dark': async () => {
    for (const width of [360, 1280, 1600]) {
      await page.setViewportSize({ width, height: 800 });
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        for (const tab of ['outbox', 'topic', 'send', 'notes', 'metrics']) {
          await page.locator(`#tab-${tab}`).click();
          assert.equal(await wide(), width, `${tab} at ${width}`);
        }
        await page.locator('#list').focus();
        await page.keyboard.press('Home');
        await page.keyboard.press('Enter');
        await until(async () => assert.equal(await page.locator('#detail-body').isVisible(), true));
        assert.equal(await wide(), width, `a registration at ${width}`);
        const top = await page.locator('#detail').evaluate((node) => node.getBoundingClientRect().top + scrollY);
        assert.ok(top < 400, `what is opened lies ${top} px below the top at ${width}`);
        const back = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        assert.equal(back, colorScheme === 'light' ? 'rgb(245, 246, 248)' : 'rgb(16, 20, 26)');
        await page.keyboard.press('Escape');
        await until(async () => assert.equal(await page.locator('#list').isVisible(), true));
      }
    }
    await page.locator('#tab-outbox').click();
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1280, height: 800 });
  },

  'at 360 px the keyboard does all of it, too': async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('/');
    await page.keyboard.type('auth0|waits-2');
    await page.keyboard.press('Enter');
    await until(async () => assert.equal(await rows.count(), 1));
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await until(async () => assert.match(await text('#summary'), /auth0\|waits-2/));
    assert.equal(await page.locator('#find').isVisible(), false);
    await page.keyboard.press('Escape');
    await until(async () => assert.equal(await page.locator('#find').isVisible(), true));
    await page.setViewportSize({ width: 1280, height: 800 });
    await search('');
  },

  'no motion for those who want none': async () => {
    await page.emulateMedia({ reducedMotion: 'reduce' });
    assert.equal((await post('auth0|still')).status, 200);
    await until(async () => assert.equal(await row('auth0|still').count(), 1));
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  },

  'its picture': async () => {
    await row('auth0|still').waitFor();
    await search('user:auth0|waits-7');
    await until(async () => assert.equal(await rows.count(), 1));
    await rows.first().click();
    await until(async () => assert.equal(await page.locator('#stored dl').count(), 1));
    await search('');
    await until(async () => assert.ok(await rows.count() > 10));
    await page.locator('#list').evaluate((node) => { node.scrollTop = 0; });
    await page.mouse.move(0, 0);
    await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
    const light = await page.screenshot();
    if (screenshots) writeFileSync(`${screenshots}/page.png`, light);
    assert.ok(light.length > 20_000);
    await page.keyboard.press('Escape');
  },
};
