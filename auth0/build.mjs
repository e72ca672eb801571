// Writes the Actions' code from its sources: node build.mjs
//
// An Action is one file, and both deliver in the same way: each is its own source in actions/src, followed by delivery.js.
// With --check it writes nothing, and fails where a file is not what it would write.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const read = (path) => readFileSync(new URL(path, import.meta.url), 'utf8');

let stale = 0;
for (const name of ['notify-user-registered', 'notify-user-created']) {
  const banner = `// Built from actions/src/${name}.js and actions/src/delivery.js by build.mjs: change those.`;
  const code = ["'use strict';", banner, read(`actions/src/${name}.js`), read('actions/src/delivery.js')].join('\n\n');
  const file = new URL(`actions/${name}/code.js`, import.meta.url);
  if (process.argv.includes('--check')) {
    let there = '';
    try {
      there = readFileSync(file, 'utf8');
    } catch {
      // It is missing, and so not the same.
    }
    if (there === code) continue;
    console.error(`actions/${name}/code.js is not what its sources make: run node build.mjs in auth0`);
    stale++;
  } else {
    mkdirSync(new URL('.', file), { recursive: true });
    writeFileSync(file, code);
  }
}
process.exitCode = stale && 1;
