// Runs an Action as Auth0 does: node run-action.mjs '{"code": FILE, "event": {…}}'
//
// It answers with one object of JSON: {"logs"}, what the Action logged, and {"threw"}, the message of its error.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { compileFunction } from 'node:vm';

const { code, event } = JSON.parse(process.argv[2]);
const file = resolve(code);
const action = {};
const logs = [];
let threw = '';
compileFunction(readFileSync(file, 'utf8'), ['exports', 'require', 'console'], { filename: file })(
  action, createRequire(file), { log: (...words) => logs.push(words.join(' ')) });
try {
  await Object.values(action)[0](event, {}); // an Action exports its handler and nothing else
} catch (error) {
  threw = error.message;
}
process.stdout.write(JSON.stringify({ logs, threw }));
