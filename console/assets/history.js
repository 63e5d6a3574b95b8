// The commits that touched a container, and what each changed.

import { button, fill, h } from './dom.js';
import { age, count, moment, short } from './format.js';
import { action } from './actions.js';
import { problem } from './problem.js';

const pageSize = 20;

export function historyTab(context) {
  const list = h('ol', { class: 'history', 'aria-label': 'Commits, newest first' });
  const foot = h('div', { class: 'row' });
  const element = h('div', { class: 'stack wide' }, list, foot);
  let newest = '';

  async function load(from) {
    fill(foot, h('span', { class: 'hint' }, 'Reading the history …'));
    try {
      const { body } = await context.api.get(['compute', 'containers', context.id, 'history'], { changes: true, limit: pageSize, continue: from }, { signal: context.signal });
      if (!from) fill(list);
      const first = list.childElementCount === 0;
      list.append(...body.items.map((entry, i) => draw(context, entry, first && i === 0)));
      fill(foot, body.metadata.continue && button('Older', () => load(body.metadata.continue)));
    } catch (err) {
      if (!context.signal.aborted) fill(foot, problem(err, () => load(from)));
    }
  }

  // update reads it anew when a commit has changed the container.
  function update() {
    const now = context.live()?.revision ?? '';
    if (now === newest) return;
    newest = now;
    load();
  }

  newest = context.live()?.revision ?? '';
  load();
  return { element, update };
}

function draw(context, entry, current) {
  return h('li', { class: 'entry' },
    h('div', { class: 'row top' },
      h('div', { class: 'grow' },
        h('p', { class: 'subject' }, entry.subject),
        h('p', { class: 'hint' }, h('code', { title: entry.revision }, short(entry.revision)), ` ${entry.author}, `,
          h('time', { datetime: entry.time, title: moment(entry.time) }, `${age(Date.parse(entry.time))} ago`),
          entry.action ? '' : ' by a push')),
      !current && context.actions.allowed && button('Roll back to this', () => context.actions.rollBack(context.id, entry.revision, short(entry.revision)), {
        class: 'button small', 'aria-label': `Roll back to ${short(entry.revision)}`,
      })),
    change(entry.change));
}

function change(c) {
  if (!c) return h('p', { class: 'hint' }, 'What it changed can’t be told: the file could not be read.');
  const fields = c.fields ?? [];
  if (fields.length === 0) return h('p', { class: 'hint' }, c.action === 'delete' ? 'Deleted.' : 'Changed nothing that matters, such as a comment.');
  return h('ul', { class: 'fields' },
    fields.map((f) => h('li', {}, action(f.action), h('code', { class: 'path' }, f.path), ' ',
      f.before && h('del', {}, f.before), f.before && f.after && ' → ', f.after && h('ins', {}, f.after))),
    c.more > 0 && h('li', { class: 'hint' }, `and ${count(c.more, 'field')} more`));
}
