// Posts the user's id, as an Action does that was written for an Azure Function in C#: with axios, the key in the address.
const axios = require('axios');

exports.onExecutePostUserRegistration = async (event) => {
  const { status, data } = await axios.post(event.secrets.FUNCTION_URL, { userId: event.user.user_id });
  console.log(JSON.stringify({ status, data }));
};
