// Event Stream, v1: the destination of a stream of user.created. It tells the function of every new user, of whatever
// connection, and lets only ids out of Auth0: a webhook gets the whole profile. Node 22, no dependencies.
//
// Secrets of the Action:
//   FUNCTION_URL  the function's address, https; one with ?code=… will do too
//   FUNCTION_KEY  the function's key, where it is not in FUNCTION_URL
//
// One line says how it ended, a thrown error where the user was not delivered: Auth0 then runs it again, 3 times, and keeps
// what failed for a redelivery. No line holds an address, a key or a profile, and none is longer than the 256 characters
// that Auth0 keeps.

exports.onExecuteEventStream = async ({ message, secrets = {} }) => {
  if (!message) throw new Error('user not sent: event.message is missing');
  const type = text(message.type);
  if (!/(^|\.)user\.created$/.test(type)) {
    console.log(`nothing sent: events of type ${/^[\w.-]{1,64}$/.test(type) ? type : 'unknown'} are not forwarded`);
    return;
  }
  const { user_id, created_at } = message.data?.object ?? {};
  const userId = text(user_id);
  if (!userId) throw new Error('user not sent: event.message.data.object.user_id is missing');
  const tenant = tenantOf(message.a0tenant) || tenantOf(message.data.context?.tenant?.id);
  const createdAt = time(created_at);

  // The event without all that is about the user beyond the id. JSON leaves out what is undefined.
  const said = (value) => time(value) || undefined;
  const body = JSON.stringify({
    specversion: '1.0', type, id: said(message.id), source: said(message.source), time: said(message.time),
    a0tenant: tenant || undefined, a0stream: said(message.a0stream), a0purpose: said(message.a0purpose),
    data: { object: { user_id: userId, created_at: createdAt || undefined } },
  });
  // The function derives the event's id; where it does not know tenant or time, the id is Auth0's, or the hash of one that
  // it cannot use.
  const given = /^[!-~]{1,100}$/.test(text(message.id)) ? message.id : 'unknown';
  const id = tenant && createdAt ? eventId(tenant, userId, createdAt) : given;
  const ours = (answered) => answered === given || /^a0(pur|evt)_[0-9a-f]{32}$/.test(answered);
  await deliver(secrets, { id, bodies: [body], headers: {}, ours });
};
