// What people put into the Actions' secrets.
import assert from 'node:assert/strict';

import { both, key, serve, stored } from './rig.mjs';

both('a key that was pasted with the address goes into the header', async ({ run }) => {
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
      await run({ FUNCTION_URL: url + query });
      assert.equal(seen[0].url, path);
      assert.equal(seen[0].headers['x-functions-key'], sent);
    });
  }
});

both('FUNCTION_KEY comes before a key in the address, which is still not sent there', async ({ run }) => {
  await serve(stored, async ({ url, seen }) => {
    await run({ FUNCTION_URL: `${url}?code=older`, FUNCTION_KEY: key });
    assert.equal(seen[0].url, '/api/RegisterUser');
    assert.equal(seen[0].headers['x-functions-key'], key);
  });
});

both('what was pasted along with a secret does not matter', async ({ run }) => {
  await serve(stored, async ({ url, seen }) => {
    const code = encodeURIComponent(key);
    for (const [address, function_key] of [
      [` ${url}\n`, `\t${key}\r\n`], [`"${url}"`, `"${key}"`], [`'${url}'`, `'${key}'`], [`\`${url}\``, `\`${key}\``], [`“${url}”`, `„${key}”`],
      [` "${url}" `, `" ${key}\n"`], [`FUNCTION_URL=${url}`, `FUNCTION_KEY=${key}`], [`FUNCTION_URL: "${url}"`, `function_key="${key}"`],
      [`\ufeff${url}`, `\u200b${key}`], [`${url}\u00a0`, `${key}\u00a0`],
      [url, code], [url, encodeURIComponent(code)], [url, `code=${key}`], [url, `?code=${code}`], [url, `CODE=${code}`], [url, `${url}?code=${code}`],
      [url, `${url}?a=b&code=${code}&c=d`], [url, `x-functions-key: ${key}`], [url, `&code=${key}#`],
      [`${url}?code=${code}`, undefined], [`"${url}?code=${code}"`, undefined], [`${url}?code=${encodeURIComponent(code)}`, undefined],
      [`${url}?code="${code}"`.replaceAll('"', ''), ''], [`${url}?code=${key}#`, undefined], [`${url}?code=${key}\n`, undefined], [`${url}\n?code=${code}`, ''],
      [`${url}?code=code=${code}`, ''], [`${url}?code=older`, key],
    ]) {
      seen.length = 0;
      const { line, threw } = await run({ FUNCTION_URL: address, FUNCTION_KEY: function_key });
      assert.equal(threw, false, `${address} ${function_key}: ${line}`);
      assert.equal(seen[0].headers['x-functions-key'], key, `${address} ${function_key}`);
      assert.equal(seen[0].url, '/api/RegisterUser', address);
    }
  });
});

both('an address without https:// gets it', async ({ run }) => {
  const { line } = await run({ FUNCTION_URL: 'app.example.invalid/api/RegisterUser', FUNCTION_KEY: key });
  assert.match(line, /^user not sent: no connection \(\w+\), attempts=8, /);
});

both('a secret that cannot be right is named, and nothing is sent', async ({ run }) => {
  const url = 'https://example.invalid/api/RegisterUser';
  const placeholder = 'is a placeholder: it was not set when the Action was deployed';
  for (const [secrets, said] of [
    [undefined, 'FUNCTION_URL is missing'],
    [{}, 'FUNCTION_URL is missing'],
    [{ FUNCTION_URL: '  ' }, 'FUNCTION_URL is missing'],
    [{ FUNCTION_URL: '""' }, 'FUNCTION_URL is missing'],
    [{ FUNCTION_URL: 'FUNCTION_URL=' }, 'FUNCTION_URL is missing'],
    [{ FUNCTION_URL: 5 }, 'FUNCTION_URL is missing'],
    [{ FUNCTION_URL: 'my-app' }, 'FUNCTION_URL is no URL'],
    [{ FUNCTION_URL: 'https://' }, 'FUNCTION_URL is no URL'],
    [{ FUNCTION_URL: '/api/RegisterUser' }, 'FUNCTION_URL is no URL'],
    [{ FUNCTION_URL: '##FUNCTION_URL##' }, `FUNCTION_URL ${placeholder}`],
    [{ FUNCTION_URL: '"@@FUNCTION_URL@@"' }, `FUNCTION_URL ${placeholder}`],
    [{ FUNCTION_URL: url, FUNCTION_KEY: '##FUNCTION_KEY##' }, `FUNCTION_KEY ${placeholder}`],
    [{ FUNCTION_URL: url, FUNCTION_KEY: '@@FUNCTION_KEY@@' }, `FUNCTION_KEY ${placeholder}`],
    [{ FUNCTION_URL: url, FUNCTION_KEY: '_VALUE_NOT_SHOWN_' }, `FUNCTION_KEY ${placeholder}`],
    [{ FUNCTION_URL: 'http://example.invalid/api/RegisterUser' }, 'FUNCTION_URL must begin with https://'],
    [{ FUNCTION_URL: 'http://127.0.0.1.example.invalid/' }, 'FUNCTION_URL must begin with https://'],
    [{ FUNCTION_URL: 'ftp://localhost/' }, 'FUNCTION_URL must begin with https://'],
    [{ FUNCTION_URL: 'javascript:alert(1)' }, 'FUNCTION_URL must begin with https://'],
    [{ FUNCTION_URL: 'https://jane:pw@example.invalid/' }, 'FUNCTION_URL must have no user and password'],
    [{ FUNCTION_URL: url, FUNCTION_KEY: 'a\nb' }, 'FUNCTION_KEY has characters that no key has'],
    [{ FUNCTION_URL: url, FUNCTION_KEY: 'a b' }, 'FUNCTION_KEY has characters that no key has'],
    [{ FUNCTION_URL: url, FUNCTION_KEY: 'k€y' }, 'FUNCTION_KEY has characters that no key has'],
    [{ FUNCTION_URL: url, FUNCTION_KEY: 'k%e9y' }, 'FUNCTION_KEY has characters that no key has'],
    [{ FUNCTION_URL: `${url}?code=x%0d%0ay`, FUNCTION_KEY: '' }, 'FUNCTION_KEY has characters that no key has'],
  ]) {
    const { line, threw, at } = await run(secrets);
    assert.equal(threw, true);
    assert.equal(line, `user not sent: the secret ${said}`);
    assert.equal(at, 0);
  }
});

both('an address that fetch refuses is told without it', async ({ run }) => {
  const { line } = await run({ FUNCTION_URL: `https://127.0.0.1:25/api?code=${key}` }); // a port that fetch blocks
  assert.match(line, /^user not sent: no connection \(unknown\), attempts=8, /);
});
