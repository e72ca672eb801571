// The words of a search: what they are, what they match, and what of a text they mark. It knows nothing of the page.

const word = /(?:(user|event|class|outcome|status|at|operation):)?(?:"([^"]*)"|(\S+))/gi;
const fields = 'user event class outcome status at operation'.split(' ');

// parse reads a search. What ends in a colon is being typed, and matches all.
export function parse(query) {
  return [...query.matchAll(word)].map(([, field, quoted, plain]) => ({ field: (field ?? '').toLowerCase(), value: (quoted ?? plain).toLowerCase() }))
    .filter(({ field, value }) => field || !(value.endsWith(':') && fields.includes(value.slice(0, -1))));
}

// Of words so short nothing in a long number of hexadecimal digits is meant: nearly every one has it.
const shortWord = 4;
const idWord = 8;
const hex = /[0-9a-f]{16,}/g;

// prepare makes of a row what matches looks at, once.
export function prepare(row, texts) {
  const all = texts.filter(Boolean).join('\n').toLowerCase();
  row.all = all;
  row.few = all.replace(hex, '…');
  row.user = `${row.userId ?? ''}\n${row.shown ?? ''}`.toLowerCase();
  row.ids = `${row.eventId ?? ''}\n${row.operation ?? ''}`.toLowerCase();
}

export const matches = (row, terms) => terms.every((term) => matchesOne(row, term));

function matchesOne(row, { field, value }) {
  switch (field) {
    case 'user': return row.user.includes(value);
    case 'event': return (row.eventId ?? '').toLowerCase().includes(value);
    case 'class': return (row.errorClass ?? '').includes(value);
    case 'outcome': return row.group === value || row.outcome === value;
    case 'status': return String(row.status ?? '').startsWith(value);
    case 'at': return row.clock.startsWith(value);
    case 'operation': return (row.operation ?? '').toLowerCase().startsWith(value);
    default:
      if (value.length < shortWord) return row.few.includes(value);
      return row.all.includes(value) || (value.length >= idWord && row.ids.includes(value));
  }
}

// pieces cuts a text into what the search means and what it does not: [text, meant] pairs.
export function pieces(text, terms, field) {
  const lower = text.toLowerCase();
  const meant = new Set();
  for (const term of terms) {
    if (term.value === '' || (term.field !== '' && term.field !== field)) continue;
    for (let at = lower.indexOf(term.value); at >= 0; at = lower.indexOf(term.value, at + 1)) {
      if (term.field === '' && term.value.length < shortWord && insideHex(lower, at, term.value.length)) continue;
      for (let i = at; i < at + term.value.length; i++) meant.add(i);
    }
  }
  if (meant.size === 0 || lower.length !== text.length) return [[text, false]];
  const cut = [];
  for (let i = 0; i < text.length; i++) {
    const last = cut.at(-1);
    if (last && last[1] === meant.has(i)) last[0] += text[i];
    else cut.push([text[i], meant.has(i)]);
  }
  return cut;
}

function insideHex(text, at, length) {
  return [...text.matchAll(hex)].some((run) => at + length > run.index && at < run.index + run[0].length);
}

// withWord puts a word into a search, or takes it out where it is there; another of the same field goes.
export function withWord(query, field, value) {
  const wanted = `${field}:${value}`;
  const rest = query.split(/\s+/).filter((part) => part && !part.startsWith(`${field}:`));
  return (query.split(/\s+/).includes(wanted) ? rest : [...rest, wanted]).join(' ');
}
