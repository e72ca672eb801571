// Runs an Action as Auth0 does: node run-action.mjs '{"code": FILE, "event": {…}, "speed": 1}'
//
// It answers with lines of JSON: {"failed"} after each attempt that was not answered 2xx, {"log"} for what the Action says,
// and at the end {"threw"} with the error's message, or {"returned"}. speed makes the Action's clock faster or slower.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { compileFunction } from 'node:vm';

const { code, event, speed } = JSON.parse(process.argv[2]);
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const begin = Date.now();

const globals = {
  console: { log: (...words) => tell({ log: words.join(' ') }) },
  setTimeout: (f, ms) => setTimeout(f, ms / speed),
  Date: class extends Date {
    static now() { return begin + (Date.now() - begin) * speed; }
  },
  fetch: async (...args) => {
    try {
      const response = await fetch(...args);
      if (!response.ok) tell({ failed: response.status });
      return response;
    } catch (error) {
      tell({ failed: 0 });
      throw error;
    }
  },
};

const file = resolve(code);
const action = {};
compileFunction(readFileSync(file, 'utf8'), ['exports', 'require', ...Object.keys(globals)], { filename: file })(
  action, createRequire(file), ...Object.values(globals));
try {
  await Object.values(action)[0](event, {}); // an Action exports its handler and nothing else
  tell({ returned: true });
} catch (error) {
  tell({ threw: error.message });
}
