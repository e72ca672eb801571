// Posts the whole profile, with fetch, which calls a string text/plain.
exports.onExecutePostUserRegistration = async (event) => {
  const response = await fetch(event.secrets.FUNCTION_URL, { method: 'POST', body: JSON.stringify(event.user) });
  const { topic, partition, offset, timestamp } = await response.json();
  console.log(JSON.stringify({ status: response.status, data: { topic, partition, offset, timestamp } }));
};
