// The browser, the page in it, and what its checks have in common. Instructions are the program's argument.
import { chromium } from 'playwright-core';

export const { page: origin, function: functionURL, curl, chromium: executablePath, screenshots } = JSON.parse(process.argv[2]);
export const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

export const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' });
await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
export const page = await context.newPage();
page.setDefaultTimeout(60_000);
export const complaints = [];
export const elsewhere = [];
page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
page.on('pageerror', (error) => complaints.push(error.message));
page.on('request', (request) => {
  const url = new URL(request.url());
  if (url.origin !== origin && url.protocol !== 'data:') elsewhere.push(request.url());
});

// until waits for f to pass, for as long as the page needs to catch up, or as many seconds as it is told.
export async function until(f, seconds = 60) {
  const end = Date.now() + 1000 * seconds;
  for (;;) {
    try {
      return await f();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

export async function post(userId, headers = {}) {
  const answer = await fetch(functionURL, { method: 'POST', headers, body: JSON.stringify({ userId }) });
  return { status: answer.status, ...(await answer.json()) };
}

export const track = (...items) => fetch(`${origin}/v2.1/track`, { method: 'POST', body: items.map((item) => JSON.stringify(item)).join('\n') });

export const text = (selector) => page.locator(selector).innerText();
export const rows = page.locator('#rows > .row');
export const row = (words) => rows.filter({ hasText: words });
export const steps = page.locator('#steps > li');
export const waiting = page.locator('#waiting-rows > tr');
export const drained = page.locator('#drained-rows > tr');
export const focused = () => page.evaluate(() => {
  const node = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(node);
  return { body: node === document.body, id: node.id, name: node.getAttribute('aria-label') ?? node.innerText, visible: outlineStyle !== 'none' && outlineWidth !== '0px' };
});

export async function search(words) {
  await page.locator('#query').fill(words);
  await page.locator('#query').press('Enter');
}

// clip is what the page put into the clipboard last.
export const clip = () => page.evaluate(() => navigator.clipboard.readText());

// wide says how wide the page is, which must be no more than the window.
export const wide = () => page.evaluate(() => document.scrollingElement.scrollWidth);

// The value of a colour of the page, as computed styles have it.
export const colour = (name) => page.evaluate((variable) => {
  const probe = document.body.appendChild(document.createElement('i'));
  probe.style.color = `var(${variable})`;
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}, name);
