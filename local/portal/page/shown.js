// How texts are shown that hold what nobody sees, or what turns other text around.

// shown is a user id as the handler's messages show it (registration.Shown): quoted and escaped where it holds what one does
// not see, or what turns the text around.
const unseen = /(?! )[\p{C}\p{Z}]/u;
export function shown(id) {
  if (!id || !(unseen.test(id) || /^[" ]| $/.test(id))) return id;
  return `"${id.replace(/(?! )[\p{C}\p{Z}]|["\\]/gu, escaped)}"`;
}

const short = {
  '\u0007': '\\a', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v', '"': '\\"', '\\': '\\\\',
};
function escaped(c) {
  const code = c.codePointAt(0).toString(16);
  if (c < '\x80') return short[c] ?? `\\x${code.padStart(2, '0')}`;
  return code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`;
}

// visible is any text with what nobody sees in it escaped, but for the ends of lines and tabs.
export const visible = (text) => text.replace(/(?![ \n\t])[\p{C}\p{Z}]/gu, escaped);
