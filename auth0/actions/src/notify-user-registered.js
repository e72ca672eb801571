// Post User Registration, v2: tells the function of every newly registered user of a database or passwordless connection,
// and does not give up at the first failure, since Auth0 does not run an Action again. Node 22, no dependencies.
//
// Secrets of the Action:
//   FUNCTION_URL  the function's address, https; one with ?code=… will do too
//   FUNCTION_KEY  the function's key, where it is not in FUNCTION_URL
//   SEND_PROFILE  "true" sends the profile, which is personal data; else the user id and the tenant's name go out alone
//
// One line says how it ended, a thrown error where the user was not delivered: only that shows in the tenant's log. No
// line holds an address, a key or a profile, and none is longer than the 256 characters that Auth0 keeps.

exports.onExecutePostUserRegistration = async ({ user, tenant, secrets = {} }) => {
  if (!user) throw new Error('user not sent: event.user is missing');
  const userId = text(user.user_id);
  if (!userId) throw new Error('user not sent: event.user.user_id is missing');
  const name = tenantOf(tenant?.id);
  const id = eventId(name, userId, time(user.created_at));

  const alone = { userId, ...(name && { tenant: name }) };
  const bodies = [JSON.stringify(alone)];
  let note = '';
  if (secret(secrets, 'SEND_PROFILE').toLowerCase() === 'true') {
    try {
      bodies.unshift(JSON.stringify({ ...alone, user }));
    } catch {
      note = ', without the profile (it is no JSON)'; // a BigInt, or a circle, which another Action put there
    }
  }
  await deliver(secrets, { id, bodies, headers: { 'idempotency-key': id }, note, ours: (answered) => answered === id });
};
