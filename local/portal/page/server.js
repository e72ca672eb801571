// Talking to the server.

import { say } from './dom.js';

export async function ask(path, options) {
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(60_000) });
  if (!answer.ok) throw Object.assign(new Error((await answer.text()).trim()), { status: answer.status });
  return answer.json();
}

// single runs a loader once at a time, and once more when it was wanted meanwhile.
export function single(load) {
  let running = false;
  let again = false;
  return async () => {
    again = true;
    if (running) return;
    running = true;
    while (again) {
      again = false;
      try {
        await load();
      } catch (error) {
        if (error.status) say(error.message); // else the connection is gone, which is shown where it is noticed
      }
    }
    running = false;
  };
}

// once does what a button is for, and ignores it meanwhile. The button keeps the focus, which disabled ones lose.
export async function once(button, work) {
  if (button.ariaDisabled === 'true') return;
  button.ariaDisabled = 'true';
  try {
    await work();
  } finally {
    button.ariaDisabled = 'false';
  }
}
