// Sends what an Action sends that was written for a Kafka REST service: with node-fetch 2, to the topic's path behind the
// service's address, user and password in a header, the profile as a text inside the body. It reads the answer's four fields.
const send = require('node-fetch');

exports.onExecutePostUserRegistration = async (event) => {
  const { ADDRESS, USER, PASSWORD, TOPIC } = event.secrets;
  const response = await send(`${ADDRESS}/produce/${TOPIC}`, {
    method: 'POST',
    headers: { Authorization: `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}` },
    body: JSON.stringify({ value: JSON.stringify(event.user) }),
  });
  const { topic, partition, offset, timestamp } = await response.json();
  console.log(JSON.stringify({ status: response.status, data: { topic, partition, offset, timestamp } }));
};
