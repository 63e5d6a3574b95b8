// Which containers are shown, in which order, below which headings. Pure: the
// same store and the same question make the same rows.

import { phases } from './format.js';

const fields = { user: 'user', space: 'space', name: 'name', state: 'phase', reason: 'reason', commit: 'revision', node: 'node' };

// parse reads what was typed: words that must all occur, and field:value.
export function parse(typed) {
  return typed.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
    const [, field, value] = /^([a-z]+):(.*)$/.exec(word) ?? [];
    return field in fields ? { field: fields[field], value } : { value: word };
  });
}

// matches says whether a container has every word.
export function matches(container, words) {
  return words.every(({ field, value }) => {
    if (field === 'revision') return container.revision.startsWith(value);
    if (field === 'phase') return container.phase.startsWith(value);
    if (field) return container[field].toLowerCase().includes(value);
    return container.id.includes(value) || container.phase.includes(value) || container.revision.startsWith(value)
      || container.reason.toLowerCase().includes(value) || container.message.toLowerCase().includes(value);
  });
}

// order puts containers by user, space and name.
export function order(containers) {
  const keyed = Array.from(containers.values(), (c) => [`${c.user} ${c.space} ${c.name}`, c.id]);
  keyed.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  return keyed.map(([, id]) => id);
}

// rows are what a list shows: headings and containers. Counts are by state, of
// all that match the words, whatever states are asked for.
export function rows(containers, ordered, { words = [], states = new Set(), group = 'space', closed = new Set() } = {}) {
  const counts = Object.fromEntries(phases.map((p) => [p, 0]));
  const groups = new Map();
  let matched = 0;
  let shown = 0;
  for (const id of ordered) {
    const c = containers.get(id);
    if (!c || !matches(c, words)) continue;
    matched++;
    counts[c.phase] = (counts[c.phase] ?? 0) + 1;
    if (states.size > 0 && !states.has(c.phase)) continue;
    shown++;
    const key = keyOf(c, group);
    const g = groups.get(key);
    if (g) g.ids.push(id);
    else groups.set(key, { key, ids: [id], first: c });
  }
  return { list: flatten(containers, groups, group, closed), counts, matched, shown };
}

function keyOf(c, group) {
  switch (group) {
    case 'space': return `${c.user}/${c.space}`;
    case 'user': return c.user;
    case 'state': return c.phase;
    default: return '';
  }
}

function flatten(containers, groups, group, closed) {
  const list = [];
  const sorted = [...groups.values()];
  if (group === 'state') sorted.sort((a, b) => phases.indexOf(a.key) - phases.indexOf(b.key));
  for (const g of sorted) {
    if (group !== 'none') {
      const open = !closed.has(g.key);
      list.push({ heading: g.key, group, user: g.first.user, space: g.first.space, total: g.ids.length, counts: tally(containers, g.ids), open });
      if (!open) continue;
    }
    for (const id of g.ids) list.push({ id });
  }
  return list;
}

function tally(containers, ids) {
  const counts = {};
  for (const id of ids) {
    const { phase } = containers.get(id);
    counts[phase] = (counts[phase] ?? 0) + 1;
  }
  return counts;
}
