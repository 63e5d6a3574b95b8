// One container: its state at the top, and a tab for each way to look at it.

import { attr, button, fill, h, icon, iconButton, text } from './dom.js';
import { age, because, count, short, tone } from './format.js';
import { problem } from './problem.js';
import { place, tabs } from './route.js';
import { eventsTab } from './events.js';
import { historyTab } from './history.js';
import { logsTab } from './logs.js';
import { objectsTab } from './objects.js';
import { overviewTab } from './overview.js';
import { terminalTab } from './terminal.js';

const views = { overview: overviewTab, history: historyTab, objects: objectsTab, events: eventsTab, logs: logsTab, terminal: terminalTab };
// settled is how long frames must be silent before the container is read anew.
const settled = 250; // ms

// A tab is a function of a context that returns {element, update?, close?}. The
// context: {id, api, store, session, actions, container(), signal, live()}.
export class Detail {
  #root; #store; #api; #session; #actions;
  #id = ''; #tab = ''; #view = null; #container = null; #abort = null; #reading = 0;
  #head = {}; #panel; #tabs;

  constructor({ root, store, api, session, actions }) {
    this.#root = root;
    this.#store = store;
    this.#api = api;
    this.#session = session;
    this.#actions = actions;
    store.on('containers', ({ ids }) => { if (ids.has(this.#id)) this.#moved(); });
    setInterval(() => { if (this.#id) this.#drawState(); }, 10_000);
  }

  get id() { return this.#id; }

  // show opens a container at a tab; an empty id closes what is open.
  show(id, tab) {
    if (id !== this.#id) {
      this.#close();
      this.#id = id;
      this.#root.hidden = !id;
      if (!id) return;
      attr(this.#root, 'aria-label', `Container ${id}`);
      this.#build();
      this.#read();
    }
    if (id && tab !== this.#tab) this.#open(tab);
  }

  // focus moves to the container's name.
  focus() { this.#head.title?.focus(); }

  // key does what a letter stands for; false when it stands for nothing.
  key(key) {
    const n = Number(key);
    if (n >= 1 && n <= tabs.length) location.hash = place(this.#id, tabs[n - 1]);
    else if (key === 's' && this.#actions.allowed) this.#head.power?.click();
    else if (key === 'd' && this.#actions.allowed) this.#remove();
    else return false;
    return true;
  }

  #close() {
    this.#view?.close?.();
    this.#abort?.abort();
    clearTimeout(this.#reading);
    this.#view = this.#container = null;
    this.#tab = '';
    fill(this.#root);
  }

  #build() {
    this.#abort = new AbortController();
    const head = this.#head = {
      title: h('h1', { class: 'name', tabindex: '-1' }, this.#id),
      state: h('p', { class: 'state-line' }),
      why: h('p', { class: 'why-line', hidden: true }),
      actions: h('div', { class: 'row actions' }),
      wrong: h('div', { role: 'alert' }),
    };
    this.#tabs = h('div', { role: 'tablist', class: 'tabs', 'aria-label': 'Ways to look at it', on: { keydown: (event) => this.#arrow(event) } },
      tabs.map((tab, i) => h('button', {
        type: 'button', role: 'tab', id: `tab-${tab}`, 'aria-controls': 'panel', 'data-tab': tab, 'aria-keyshortcuts': String(i + 1),
        on: { click: () => { location.hash = place(this.#id, tab); } },
      }, tab[0].toUpperCase() + tab.slice(1))));
    this.#panel = h('div', { role: 'tabpanel', id: 'panel', class: 'panel' });
    fill(this.#root, h('div', { class: 'detail-head' },
      h('div', { class: 'row' },
        h('a', { class: 'button quiet square back', href: '#/', 'aria-label': 'Back to the list', title: 'Back to the list (Esc)' }, icon('back')),
        head.title, h('span', { class: 'gap' }), head.actions,
        iconButton('close', 'Close (Esc)', () => { location.hash = place(''); }, { class: 'button quiet square wide-only' })),
      head.state, head.why, head.wrong, this.#tabs), this.#panel);
    this.#drawState();
  }

  #arrow(event) {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const next = tabs[(tabs.indexOf(this.#tab) + move + tabs.length) % tabs.length];
    location.hash = place(this.#id, next);
    this.#tabs.querySelector(`[data-tab=${next}]`).focus();
  }

  #open(tab) {
    this.#view?.close?.();
    this.#tab = tab;
    for (const b of this.#tabs.children) {
      attr(b, 'aria-selected', b.dataset.tab === tab);
      attr(b, 'tabindex', b.dataset.tab === tab ? '0' : '-1');
    }
    attr(this.#panel, 'aria-labelledby', `tab-${tab}`);
    this.#panel.className = `panel ${tab}`;
    const context = {
      id: this.#id, api: this.#api, store: this.#store, session: this.#session, actions: this.#actions,
      container: () => this.#container, live: () => this.#store.containers.get(this.#id), signal: this.#abort.signal,
    };
    this.#view = views[tab](context);
    fill(this.#panel, this.#view.element);
    this.#panel.scrollTop = 0;
  }

  #moved() {
    this.#drawState();
    this.#view?.update?.();
    clearTimeout(this.#reading);
    this.#reading = setTimeout(() => this.#read(), settled);
  }

  // read gets what frames don't tell: the spec, the addresses, the file.
  async #read() {
    const id = this.#id;
    const { signal } = this.#abort;
    try {
      const { body } = await this.#api.get(['compute', 'containers', id], {}, { signal });
      this.#container = body;
      fill(this.#head.wrong);
    } catch (err) {
      if (signal.aborted) return;
      this.#container = null;
      fill(this.#head.wrong, err.gone ? this.#gone() : problem(err, () => this.#read()));
    }
    if (signal.aborted) return;
    this.#drawState();
    this.#view?.update?.();
  }

  #gone() {
    return h('p', { class: 'note' }, 'There is no such container any more, or it isn’t yours. Its history may still be read, and brings it back.');
  }

  #drawState() {
    const c = this.#store.containers.get(this.#id);
    const { state, why, actions } = this.#head;
    const drawn = JSON.stringify([c?.phase, c?.revision, c?.node, c?.restarts]);
    if (state.dataset.drawn !== drawn) {
      state.dataset.drawn = drawn;
      fill(state, c
        ? [h('span', { class: `phase ${tone(c.phase)}` }, icon(c.phase), c.phase), h('span', { class: 'since' }),
          c.revision && h('span', {}, 'commit ', h('code', { title: c.revision }, short(c.revision))),
          c.node && h('span', {}, `on ${c.node}${c.simulated ? ' (simulated: no container runs there)' : ''}`),
          c.restarts > 0 && h('span', {}, count(c.restarts, 'restart'))]
        : h('span', { class: 'phase idle' }, 'gone'));
    }
    if (c) text(state.querySelector('.since'), Number.isFinite(c.since) ? `for ${age(c.since)}` : '');
    const reason = c && c.phase !== 'running' ? because(c.reason, c.message) : '';
    why.hidden = !reason;
    text(why, reason);
    attr(why, 'class', `why-line ${tone(c?.phase)}`);
    this.#drawActions(actions, c);
  }

  #drawActions(actions, c) {
    const stopped = this.#container ? this.#container.spec?.state === 'Stopped' : c?.phase === 'stopped';
    const kind = !this.#actions.allowed || !c || (this.#container && !this.#container.spec) ? 'none' : stopped ? 'stopped' : 'running';
    if (actions.dataset.kind === kind) return;
    actions.dataset.kind = kind;
    this.#head.power = null;
    if (kind === 'none') {
      fill(actions);
      return;
    }
    const id = this.#id;
    this.#head.power = stopped
      ? button('Start', () => this.#actions.start(id), { 'data-action': 'start', 'aria-keyshortcuts': 's' })
      : button('Stop', () => this.#actions.stop(id), { 'data-action': 'stop', 'aria-keyshortcuts': 's' });
    fill(actions, this.#head.power,
      !stopped && button('Restart', () => this.#actions.restart(id), { 'data-action': 'restart' }),
      button('Delete …', () => this.#remove(), { class: 'button danger-quiet', 'data-action': 'delete', 'aria-keyshortcuts': 'd' }));
  }

  #remove() {
    const c = this.#store.containers.get(this.#id);
    if (c) this.#actions.remove(this.#id, c.name);
  }
}
