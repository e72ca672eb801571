// What people put into the Action's secrets.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { key, run, serve, signup, stored } from './rig.mjs';

test('a key that was pasted with the address goes into the header', async () => {
  const code = encodeURIComponent(key);
  for (const [query, path, sent] of [
    [`?code=${code}`, '/api/RegisterUser', key],
    [`?Code=${code}`, '/api/RegisterUser', key],
    [`?a=1&code=${code}&b=%20`, '/api/RegisterUser?a=1&b=+', key],
    [`?code=${code}&code=other`, '/api/RegisterUser', key],
    ['?code=pl+ain/==', '/api/RegisterUser', 'pl+ain/=='],
    ['?code=', '/api/RegisterUser', undefined],
    ['', '/api/RegisterUser', undefined],
  ]) {
    await serve(stored, async ({ url, seen }) => {
      await run(signup({ FUNCTION_URL: url + query }));
      assert.equal(seen[0].url, path);
      assert.equal(seen[0].headers['x-functions-key'], sent);
    });
  }
});

test('FUNCTION_KEY comes before a key in the address, which is still not sent there', async () => {
  await serve(stored, async ({ url, seen }) => {
    await run(signup({ FUNCTION_URL: `${url}?code=older`, FUNCTION_KEY: key }));
    assert.equal(seen[0].url, '/api/RegisterUser');
    assert.equal(seen[0].headers['x-functions-key'], key);
  });
});

test('white space around what was pasted does not matter', async () => {
  await serve(stored, async ({ url, seen }) => {
    await run(signup({ FUNCTION_URL: ` ${url}\n`, FUNCTION_KEY: `\t${key}\r\n` }));
    assert.equal(seen[0].headers['x-functions-key'], key);
  });
});

test('a secret that cannot be right is named, and nothing is sent', async () => {
  const url = 'https://example.invalid/api/RegisterUser';
  for (const [secrets, said] of [
    [undefined, 'FUNCTION_URL is missing or no URL'],
    [{}, 'FUNCTION_URL is missing or no URL'],
    [{ FUNCTION_URL: '  ' }, 'FUNCTION_URL is missing or no URL'],
    [{ FUNCTION_URL: 'my-app.azurewebsites.net/api/RegisterUser' }, 'FUNCTION_URL is missing or no URL'],
    [{ FUNCTION_URL: '##FUNCTION_URL##' }, 'FUNCTION_URL is a placeholder: it was not set when the Action was deployed'],
    [{ FUNCTION_URL: url, FUNCTION_KEY: '##FUNCTION_KEY##' }, 'FUNCTION_KEY is a placeholder: it was not set when the Action was deployed'],
    [{ FUNCTION_URL: url, FUNCTION_KEY: '@@FUNCTION_KEY@@' }, 'FUNCTION_KEY is a placeholder: it was not set when the Action was deployed'],
    [{ FUNCTION_URL: 'http://example.invalid/api/RegisterUser' }, 'FUNCTION_URL must begin with https://'],
    [{ FUNCTION_URL: 'http://127.0.0.1.example.invalid/' }, 'FUNCTION_URL must begin with https://'],
    [{ FUNCTION_URL: 'ftp://localhost/' }, 'FUNCTION_URL must begin with https://'],
    [{ FUNCTION_URL: 'https://jane:pw@example.invalid/' }, 'FUNCTION_URL must have no user and password'],
    [{ FUNCTION_URL: url, FUNCTION_KEY: 'a\nb' }, 'FUNCTION_KEY has characters that no key has'],
    [{ FUNCTION_URL: url, FUNCTION_KEY: 'k€y' }, 'FUNCTION_KEY has characters that no key has'],
    [{ FUNCTION_URL: `${url}?code=%0d%0ax`, FUNCTION_KEY: '' }, 'FUNCTION_KEY has characters that no key has'],
  ]) {
    const { line, threw, at } = await run(signup(secrets));
    assert.equal(threw, true);
    assert.equal(line, `user not sent: the secret ${said}`);
    assert.equal(at, 0);
  }
});

test('an address that fetch refuses is told without it', async () => {
  const { line } = await run(signup({ FUNCTION_URL: `https://127.0.0.1:25/api?code=${key}` })); // a port that fetch blocks
  assert.match(line, /^user not sent: no connection \(unknown\), attempts=8, /);
});
