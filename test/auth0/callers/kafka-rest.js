// Posts the whole profile, as an Action does that was written for a Kafka REST service: with fetch, which calls a string
// text/plain, and with the answer's four fields.
exports.onExecutePostUserRegistration = async (event) => {
  const response = await fetch(event.secrets.FUNCTION_URL, { method: 'POST', body: JSON.stringify(event.user) });
  const { topic, partition, offset, timestamp } = await response.json();
  console.log(JSON.stringify({ status: response.status, data: { topic, partition, offset, timestamp } }));
};
