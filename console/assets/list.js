// The fleet: every container that is ours to see, live.

import { attr, fill, h, icon, text } from './dom.js';
import { age, because, count, phases, sentence, short, tone } from './format.js';
import { Grid } from './grid.js';
import { order, parse, rows } from './filter.js';

const groupings = { space: 'User and space', user: 'User', state: 'State', none: 'Nothing' };

export class List {
  #store; #root; #go; #grid; #search; #states; #empty; #said; #create;
  #ordered = [];
  #awaited = false; // whether the focus is to come here once there are rows
  #question = { typed: '', states: new Set(), group: 'space', closed: new Set() };

  constructor({ root, store, go, create }) {
    this.#store = store;
    this.#root = root;
    this.#go = go;
    this.#create = create;
    this.#grid = new Grid({
      label: 'Containers',
      columns: ['Name', 'State', 'Why', 'Commit', 'For'].map((name) => h('div', { role: 'columnheader', class: `cell ${name.toLowerCase()}` }, name)),
      key: (row) => row.id ?? `#${row.heading}`,
      heading: (row) => row.id === undefined,
      draw: (row) => (row.id ? drawContainer() : drawHeading()),
      update: (element, row) => (row.id ? this.#updateContainer(element, row) : updateHeading(element, row)),
      open: (row) => (row.id ? go(row.id) : this.#toggle(row, !row.open)),
      toggle: (row, open) => { if (row.heading) this.#toggle(row, open); },
    });
    fill(root, h('h1', { class: 'unseen' }, 'Containers'), this.#tools(), this.#grid.element, this.#empty = h('div', { class: 'empty', hidden: true }));
    store.on('containers', (change) => this.#changed(change));
    store.on('sync', () => this.#sayEmpty());
    store.on('connection', () => this.#sayEmpty());
    // Ages grow without a frame.
    setInterval(() => this.#grid.refresh(), 10_000);
    this.#rebuild();
  }

  // focus moves to the list, on the container where there is one; to what
  // filters it where nothing is left; to the list once there is something in it.
  focus(id) {
    if (id) this.#grid.find(id);
    this.#awaited = this.#grid.element.hidden && !this.#question.typed;
    if (this.#grid.element.hidden && this.#question.typed) this.#search.focus();
    else this.#grid.element.focus();
  }

  search() {
    this.#search.focus();
    this.#search.select();
  }

  // mark shows which container is open.
  mark(id) {
    this.marked = id;
    this.#grid.refresh();
  }

  #tools() {
    this.#search = h('input', {
      type: 'search', class: 'input search', placeholder: 'Filter: words, user:alice, state:failed', 'aria-label': 'Filter containers',
      'aria-keyshortcuts': '/', autocomplete: 'off', spellcheck: 'false',
      on: {
        input: () => { this.#question.typed = this.#search.value; this.#rebuild(); },
        keydown: (event) => {
          if (event.key === 'Escape' && this.#search.value) {
            this.#search.value = this.#question.typed = '';
            this.#rebuild();
          } else if (event.key === 'Escape' || event.key === 'Enter' || event.key === 'ArrowDown') {
            this.focus();
          } else {
            return;
          }
          event.preventDefault();
          event.stopPropagation();
        },
      },
    });
    this.#states = h('div', { class: 'states', role: 'group', 'aria-label': 'Only containers that are' });
    const group = h('select', {
      class: 'input', 'aria-label': 'Group by', on: { change: () => { this.#question.group = group.value; this.#rebuild(); } },
    }, Object.entries(groupings).map(([value, label]) => h('option', { value }, `By ${label.toLowerCase()}`)));
    this.#said = h('span', { class: 'unseen', role: 'status' });
    return h('div', { class: 'tools' },
      h('div', { class: 'searchbox' }, icon('search'), this.#search, h('kbd', { 'aria-hidden': 'true' }, '/')),
      this.#states, group, this.#said);
  }

  #changed({ ids, members, phases: moved }) {
    if (members) this.#ordered = order(this.#store.containers);
    if (members || moved || this.#question.typed) this.#rebuild();
    else this.#grid.refresh(ids);
  }

  #rebuild() {
    const q = this.#question;
    const found = rows(this.#store.containers, this.#ordered, { ...q, words: parse(q.typed) });
    this.#grid.show(found.list);
    this.#drawStates(found);
    this.found = found;
    this.#sayEmpty();
    text(this.#said, q.typed || q.states.size > 0 ? `${count(found.shown, 'container')} found` : '');
  }

  #drawStates({ counts, matched }) {
    const { states } = this.#question;
    const wanted = phases.filter((p) => counts[p] > 0 || states.has(p));
    const buttons = new Map([...this.#states.children].map((b) => [b.dataset.phase, b]));
    const all = ['', ...wanted].map((phase) => {
      const b = buttons.get(phase) ?? this.#stateButton(phase);
      attr(b, 'aria-pressed', phase ? states.has(phase) : states.size === 0);
      text(b.lastChild, (phase ? counts[phase] : matched).toLocaleString('en'));
      return b;
    });
    if (all.length !== buttons.size || all.some((b, i) => this.#states.children[i] !== b)) this.#states.replaceChildren(...all);
  }

  #stateButton(phase) {
    return h('button', {
      type: 'button', class: `chip ${phase ? tone(phase) : ''}`, 'data-phase': phase,
      on: {
        click: () => {
          const { states } = this.#question;
          if (!phase) states.clear();
          else if (!states.delete(phase)) states.add(phase);
          this.#rebuild();
        },
      },
    }, phase && icon(phase), h('span', {}, phase ? sentence(phase) : 'All'), h('span', { class: 'number' }));
  }

  #toggle(row, open) {
    if (open) this.#question.closed.delete(row.heading);
    else this.#question.closed.add(row.heading);
    this.#rebuild();
  }

  #updateContainer(element, row) {
    const c = this.#store.containers.get(row.id);
    if (!c) return;
    const [name, state, why, commit, since] = element.children;
    const own = this.#question.group === 'space';
    text(name.firstChild, own ? '' : `${c.user} / ${c.space} / `);
    text(name.lastChild, c.name);
    if (element.dataset.phase !== c.phase) {
      element.dataset.phase = c.phase;
      state.className = `cell state ${tone(c.phase)}`;
      fill(state, icon(c.phase), h('span', {}, c.phase));
    }
    const reason = c.phase === 'running' && !c.reason ? '' : because(c.reason, c.message);
    text(why, reason);
    attr(why, 'title', reason);
    text(commit, short(c.revision));
    text(since, age(c.since));
    attr(element, 'aria-selected', c.id === this.marked);
    attr(element, 'data-id', c.id);
  }

  // sayEmpty tells what to do where there is nothing to see, and lets the focus
  // in that waited for something.
  #sayEmpty() {
    const none = this.found?.list.length === 0;
    this.#grid.element.hidden = none;
    if (!none && this.#awaited) {
      this.#awaited = false;
      if (document.activeElement === document.body) this.focus();
    }
    this.#empty.hidden = !none;
    if (!none) return;
    const q = this.#question;
    if (this.#store.connection.at === 0) {
      fill(this.#empty, h('p', {}, 'Reading the fleet …'));
    } else if (q.typed || q.states.size > 0) {
      fill(this.#empty, h('p', { class: 'title' }, 'No container is like that'),
        h('p', {}, 'Press Esc in the filter, or choose All.'));
    } else if (this.#store.sync?.state === 'pending') {
      fill(this.#empty, h('p', { class: 'title' }, 'Nothing is synced yet'),
        h('p', {}, this.#store.sync.message || 'The server reads the repository and the cluster.'));
    } else {
      this.#empty.firstElementChild?.dataset.kind === 'none' || fill(this.#empty, this.#start());
    }
  }

  #start() {
    return h('div', { class: 'stack', 'data-kind': 'none' },
      h('p', { class: 'title' }, 'No container yet'),
      h('p', {}, 'Make one here, or push its file to the repository; both are one commit.'),
      h('pre', { class: 'block' }, `git clone ${new URL('/git/fleet.git', location.href)} fleet && cd fleet\nmkdir -p users/alice/web && $EDITOR users/alice/web/web.yaml\ngit add . && git commit -m "Run a web server" && git push`),
      h('div', {}, h('button', { type: 'button', class: 'button primary', on: { click: () => this.#create() } }, icon('plus'), 'Create a container')));
  }
}

function drawContainer() {
  return h('div', { role: 'row', 'aria-level': '2', class: 'grid-row container' },
    h('div', { role: 'rowheader', class: 'cell name' }, h('span', { class: 'muted' }), h('span', { class: 'own' })),
    h('div', { role: 'gridcell', class: 'cell state' }),
    h('div', { role: 'gridcell', class: 'cell why' }),
    h('div', { role: 'gridcell', class: 'cell commit' }),
    h('div', { role: 'gridcell', class: 'cell for' }));
}

function drawHeading() {
  return h('div', { role: 'row', 'aria-level': '1', class: 'grid-row heading' },
    h('div', { role: 'rowheader', class: 'cell group', 'aria-colspan': '5' },
      icon('chevron'), h('span', { class: 'path' }), h('span', { class: 'tally' })));
}

function updateHeading(element, row) {
  const [, path, tally] = element.firstChild.children;
  attr(element, 'aria-expanded', row.open);
  if (row.group === 'space') {
    if (path.dataset.key !== row.heading) fill(path, h('span', { class: 'muted' }, `${row.user} / `), row.space);
    path.dataset.key = row.heading;
  } else {
    text(path, row.group === 'state' ? sentence(row.heading) : row.heading);
  }
  const said = row.group === 'state' ? String(row.total) : phases.filter((p) => row.counts[p]).map((p) => `${row.counts[p]} ${p}`).join(', ');
  text(tally, said);
}
