// Where in the page one is, as the fragment of the address says it:
// #/ and #/c/<id>/<tab>. A link to a place can be sent to somebody.

export const tabs = ['overview', 'history', 'objects', 'events', 'logs', 'terminal'];

// read is the place that a fragment names.
export function read(hash = location.hash) {
  const [kind, id, tab] = hash.replace(/^#\/?/, '').split('/').map(decode);
  if (kind !== 'c' || !id) return { id: '', tab: '' };
  return { id, tab: tabs.includes(tab) ? tab : 'overview' };
}

// place is the fragment of a container's tab, or of the list.
export function place(id, tab = 'overview') {
  return id ? `#/c/${encodeURIComponent(id)}/${tab}` : '#/';
}

function decode(piece) {
  try {
    return decodeURIComponent(piece);
  } catch {
    return '';
  }
}
