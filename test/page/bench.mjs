// Measures the page with many registrations. bench_test.go runs it; it answers with one line of JSON: milliseconds at the
// median and the 99th percentile, to the next picture, and of that the page's own work.
import { chromium } from 'playwright-core';

const { page: origin, chromium: executablePath, rows, times } = JSON.parse(process.argv[2]);
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'] });
const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
await page.goto(origin);
await page.waitForFunction((n) => document.getElementById('count').textContent.startsWith(`${n} `), rows);

const took = await page.evaluate(async (count) => {
  const list = document.getElementById('list');
  const query = document.getElementById('query');
  const painted = () => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });
  const measure = async (act, work, whole) => {
    await painted();
    const start = performance.now();
    act();
    document.body.getBoundingClientRect(); // the layout belongs to it
    work.push(performance.now() - start);
    await painted();
    whole.push(performance.now() - start);
  };
  const press = (key) => list.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  const seek = (words) => {
    query.value = words;
    document.getElementById('search').requestSubmit();
  };
  const [keys, keyWork, searches, searchWork] = [[], [], [], []];
  list.focus();
  for (let i = 0; i < count; i++) await measure(() => press(['j', 'j', 'PageDown', 'End', 'k', 'Home'][i % 6]), keyWork, keys);
  for (let i = 0; i < count; i++) await measure(() => seek(['auth0|', 'user:0001', 'a0pur_0000', '', 'outcome:stored', 'nobody'][i % 6]), searchWork, searches);
  const at = (all, share) => all.sort((a, b) => a - b)[Math.floor(share * (all.length - 1))];
  return {
    'key-p50': at(keys, 0.5), 'key-p99': at(keys, 0.99), 'key-work-p50': at(keyWork, 0.5), 'key-work-p99': at(keyWork, 0.99),
    'search-p50': at(searches, 0.5), 'search-p99': at(searches, 0.99), 'search-work-p50': at(searchWork, 0.5), 'search-work-p99': at(searchWork, 0.99),
  };
}, times);
console.log(JSON.stringify(took));
await browser.close();
