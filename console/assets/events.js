// What the cluster tells of a container.

import { fill, h, icon } from './dom.js';
import { age, moment } from './format.js';
import { problem } from './problem.js';

const every = 5000; // ms

export function eventsTab(context) {
  const element = h('div', { class: 'stack wide' }, h('p', { class: 'hint' }, 'Reading …'));
  let drawn = '';

  async function load() {
    if (document.hidden) return;
    try {
      const { body } = await context.api.get(['compute', 'containers', context.id, 'events'], {}, { signal: context.signal });
      const now = JSON.stringify(body.items);
      if (now !== drawn) fill(element, draw(body.items));
      drawn = now;
    } catch (err) {
      if (context.signal.aborted) return;
      drawn = '';
      fill(element, problem(err, load));
    }
  }

  load();
  const timer = setInterval(load, every);
  return { element, close: () => clearInterval(timer) };
}

function draw(items) {
  if (items.length === 0) return h('p', { class: 'note' }, 'The cluster remembers nothing of it; it forgets events after about an hour.');
  return h('div', { class: 'scroll-x', tabindex: '0', role: 'group', 'aria-label': 'Table' }, h('table', { class: 'table' },
    h('thead', {}, h('tr', {}, ['Last', 'Event', 'Message', 'Object', 'Count'].map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, items.toReversed().map((e) => h('tr', {},
      h('td', { title: moment(e.last_seen) }, `${age(Date.parse(e.last_seen))} ago`),
      h('td', { class: e.type === 'Warning' ? 'warn' : '' }, h('span', { class: 'phase' }, e.type === 'Warning' && icon('unready'), e.type === 'Warning' && h('span', { class: 'unseen' }, 'Warning: '), e.reason)),
      h('td', {}, e.message),
      h('td', {}, h('code', {}, e.object)),
      h('td', { class: 'number' }, String(e.count || 1)))))));
}
