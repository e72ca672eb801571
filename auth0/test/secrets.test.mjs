// What people put into the Actions' secrets.
import assert from 'node:assert/strict';

import { both, key, serve, stored, testdata } from './rig.mjs';

const code = encodeURIComponent(key);
const filled = (value, url) => value.replaceAll('$URL', url).replaceAll('$KEY', key).replaceAll('$CODE2', encodeURIComponent(code)).replaceAll('$CODE', code);

both('what was pasted along with a secret does not matter, and what cannot be right is told', async ({ run }) => {
  await serve(stored, async ({ url, seen }) => {
    for (const row of testdata('secrets.json')) {
      seen.length = 0;
      const { line, threw, at } = await run({ FUNCTION_URL: filled(row.url, url), FUNCTION_KEY: filled(row.key, url) });
      assert.equal(at, 0, row.name);
      if (row.problem) {
        assert.equal(line, `user not sent: the secret ${row.problem}`, row.name);
        assert.equal(seen.length, 0, row.name);
        continue;
      }
      assert.equal(threw, false, `${row.name}: ${line}`);
      assert.equal(seen[0].headers['x-functions-key'], key, row.name);
      assert.equal(seen[0].url, '/api/RegisterUser', row.name);
    }
  });
});

both('secrets that are no text, or are not there, are missing', async ({ run }) => {
  for (const secrets of [undefined, {}, { FUNCTION_URL: 5 }]) {
    const { line } = await run(secrets);
    assert.equal(line, 'user not sent: the secret FUNCTION_URL is missing');
  }
});

both('what else an address asks for stays in it', async ({ run }) => {
  for (const [query, path] of [[`?a=1&code=${code}&b=%20`, '/api/RegisterUser?a=1&b=+'], ['?a=b', '/api/RegisterUser?a=b']]) {
    await serve(stored, async ({ url, seen }) => {
      await run({ FUNCTION_URL: url + query });
      assert.equal(seen[0].url, path);
    });
  }
});

both('without a key none is sent', async ({ run }) => {
  for (const query of ['', '?code=']) {
    await serve(stored, async ({ url, seen }) => {
      await run({ FUNCTION_URL: url + query });
      assert.equal(seen[0].url, '/api/RegisterUser');
      assert.equal(seen[0].headers['x-functions-key'], undefined);
    });
  }
});

both('an address without https:// gets it', async ({ run }) => {
  const { line } = await run({ FUNCTION_URL: 'app.example.invalid/api/RegisterUser', FUNCTION_KEY: key });
  assert.match(line, /^user not sent: no connection \(\w+\), attempts=8, /);
});

both('an address that fetch refuses is told without it', async ({ run }) => {
  const { line } = await run({ FUNCTION_URL: `https://127.0.0.1:25/api?code=${key}` }); // a port that fetch blocks
  assert.match(line, /^user not sent: no connection \(unknown\), attempts=8, /);
});
