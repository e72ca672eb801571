// What the page shows now, and its address.

export const view = { query: '', operation: '', opener: null, nothing: false, readable: true, records: new Map() };

export function address() {
  const parameters = new URLSearchParams();
  if (view.query) parameters.set('q', view.query);
  if (view.operation) parameters.set('operation', view.operation);
  return `/${parameters.size ? `?${parameters}` : ''}`;
}
