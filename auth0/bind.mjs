// Binds the Action to its trigger, after the Actions that are bound already: node bind.mjs
//
// Auth0 knows only how to replace all bindings of a trigger. This reads them first and sends them again, with ours at the
// end: an Action that throws may keep those after it from running. It does nothing where ours is bound.
//
// It needs the same as an import: AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET, of an application that may read:actions
// and update:actions. Change no bindings elsewhere while it runs.

const name = 'notify-user-registered';
const path = '/api/v2/actions/triggers/post-user-registration/bindings';
const limit = 30_000; // ms, for one request

const settings = ['AUTH0_DOMAIN', 'AUTH0_CLIENT_ID', 'AUTH0_CLIENT_SECRET'];
const unset = settings.filter((setting) => !process.env[setting]);

// call returns the answer's JSON. An error says what was asked for and the status, and nothing of the answer.
async function call(method, path, body, token) {
  let response;
  try {
    response = await fetch(`https://${process.env.AUTH0_DOMAIN}${path}`, {
      method,
      redirect: 'error',
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(limit),
    });
  } catch (error) {
    throw new Error(`${method} ${path}: no answer (${error.cause?.code ?? error.name})`);
  }
  if (!response.ok) throw new Error(`${method} ${path}: HTTP ${response.status}`);
  return response.json();
}

async function bind() {
  const { access_token: token } = await call('POST', '/oauth/token', {
    grant_type: 'client_credentials',
    client_id: process.env.AUTH0_CLIENT_ID,
    client_secret: process.env.AUTH0_CLIENT_SECRET,
    audience: `https://${process.env.AUTH0_DOMAIN}/api/v2/`,
  });
  const { bindings, total } = await call('GET', `${path}?per_page=100`, undefined, token);
  if (bindings.length < total) throw new Error(`${bindings.length} of ${total} bindings came: bind it in the Dashboard`);
  if (bindings.some(({ action }) => action?.name === name)) return `${name} is bound already, nothing was changed`;
  const kept = bindings.map(({ id, display_name }) => ({ ref: { type: 'binding_id', value: id }, display_name }));
  const ours = { ref: { type: 'action_name', value: name }, display_name: name };
  await call('PATCH', path, { bindings: [...kept, ours] }, token);
  return `${name} is bound, after ${kept.length} others`;
}

try {
  if (unset.length > 0) throw new Error(`not set: ${unset.join(', ')}`);
  console.log(await bind());
} catch (error) {
  console.error(`bind: ${error.message}`);
  process.exitCode = 1;
}
