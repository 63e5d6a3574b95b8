// What the cluster is told to hold for a container.

import { attr, fill, h } from './dom.js';
import { count, short } from './format.js';
import { problem } from './problem.js';
import { yaml } from './yaml.js';

export function objectsTab(context) {
  const element = h('div', { class: 'stack wide' });
  let revision = context.live()?.revision ?? '';

  async function load() {
    if (element.childElementCount === 0) fill(element, h('p', { class: 'hint' }, 'Rendering …'));
    try {
      const { body } = await context.api.get(['compute', 'containers', context.id, 'objects'], {}, { signal: context.signal });
      fill(element, draw(body));
    } catch (err) {
      if (!context.signal.aborted) fill(element, problem(err, load));
    }
  }

  load();
  return {
    element,
    update() {
      const now = context.live()?.revision ?? '';
      if (now === revision) return;
      revision = now;
      load();
    },
  };
}

function draw({ items, metadata }) {
  if (items.length === 0) return h('p', { class: 'note' }, 'Its file is gone, so nothing is rendered any more.');
  const source = h('pre', { class: 'block source', tabindex: '0' });
  const choices = items.map((item) => h('button', {
    type: 'button', class: 'object', on: { click: () => choose(item) },
  }, h('span', { class: 'kind' }, item.kind), h('span', { class: 'muted' }, item.name)));
  const choose = (item) => {
    choices.forEach((b, i) => attr(b, 'aria-pressed', items[i] === item));
    attr(source, 'aria-label', `${item.kind} ${item.name}`);
    fill(source, yaml(item.object));
    source.scrollTop = 0;
  };
  const section = (label, shared) => {
    const own = choices.filter((_, i) => Boolean(items[i].shared) === shared);
    return own.length > 0 && h('div', { role: 'group', 'aria-label': label }, h('h2', { class: 'lesser' }, label), own);
  };
  choose(items.find((i) => i.kind === 'Deployment') ?? items[0]);
  return [
    h('p', { class: 'hint' }, `${count(items.length, 'object')}, as rendered from `, h('code', {}, short(metadata.revision)), ' in the order in which they are applied.'),
    h('div', { class: 'split' }, h('div', { class: 'choices' }, section('Its own', false), section('Of its space', true)), source),
  ];
}
