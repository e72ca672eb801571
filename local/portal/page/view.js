// What the page shows now, and its address.

export const view = { query: '', terms: [], open: '', state: {}, readable: true, records: new Map() };

export function address() {
  const parameters = new URLSearchParams();
  if (view.query) parameters.set('q', view.query);
  if (view.open) parameters.set('open', view.open);
  return `/${parameters.size ? `?${parameters}` : ''}`;
}
