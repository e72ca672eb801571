// Drives the local page in Chromium. page_test.go runs it and tells it where things are; it answers with one line of
// JSON for each check, {"check", "error"}, and asks with {"ask"} for the program to be stopped and started, and for a
// message in the poison queue.
import { browser, tell } from './browser.mjs';
import { list } from './checks/list.mjs';
import { looks } from './checks/looks.mjs';
import { outage } from './checks/outage.mjs';
import { refused } from './checks/refused.mjs';
import { truth } from './checks/truth.mjs';

try {
  for (const [check, run] of Object.entries({ ...list, ...refused, ...outage, ...looks, ...truth })) {
    let error;
    await run().catch((reason) => { error = reason.message; });
    tell({ check, error });
    if (error) break; // the next ones begin where this one ends
  }
} finally {
  await browser.close();
}
