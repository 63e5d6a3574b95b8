// What was asked for from this tab: each change with its commit, followed until
// it is so.

import { announce, attr, byId, fill, h, icon, iconButton, text } from './dom.js';
import { age, because, sentence, short } from './format.js';
import { place } from './route.js';

const steps = ['committed', 'applying', 'applied', 'ready'];
const ends = new Set(['ready', 'failed', 'superseded']);
// shown bounds the cards; the oldest that has ended goes first.
const shown = 4;
const stays = 20_000; // ms, for one that went well

export class Changes {
  #store; #api; #cards = new Map(); #timer = 0;

  constructor({ store, api }) {
    this.#store = store;
    this.#api = api;
    store.on('operations', () => this.#drawAll());
    store.on('connection', () => {
      // Frames of what ended meanwhile may be gone for ever.
      if (store.connection.state === 'live' && this.#lost) this.#ask();
      this.#lost = store.connection.state !== 'live';
    });
  }

  #lost = false;

  // follow shows what a write has answered.
  follow({ operation, commit, review }) {
    this.#cards.set(operation.id, { id: operation.id, commit, review, begun: Date.now(), said: '', element: this.#make(operation) });
    this.#store.setOperation(operation);
    const ended = [...this.#cards.values()].filter((c) => ends.has(this.#store.operations.get(c.id)?.state));
    while (this.#cards.size > shown && ended.length > 0) this.#drop(ended.shift().id);
    byId('changes').prepend(this.#cards.get(operation.id).element);
    this.#drawAll();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(), 1000);
  }

  // unchanged says that nothing had to be done.
  unchanged(words) {
    announce(words);
    const element = h('div', { class: 'card' }, h('div', { class: 'card-head' }, icon('running'), h('strong', {}, words),
      iconButton('close', 'Dismiss', () => element.remove())));
    byId('changes').prepend(element);
    setTimeout(() => element.remove(), stays);
  }

  #make(operation) {
    const what = `${sentence(operation.action)} ${operation.target}`;
    return h('article', { class: 'card', 'aria-label': what, 'data-operation': operation.id },
      h('div', { class: 'card-head' },
        h('span', { class: 'mark' }),
        operation.kind === 'Container' ? h('a', { href: place(operation.target) }, what) : h('strong', {}, what),
        iconButton('close', `Dismiss: ${what}`, () => this.#drop(operation.id))),
      h('p', { class: 'card-fact' }, h('span', { class: 'commit' }), h('span', { class: 'took' })),
      h('ol', { class: 'steps' }, steps.map((s) => h('li', { 'data-step': s }, s))),
      h('p', { class: 'card-why' }));
  }

  #drop(id) {
    this.#cards.get(id)?.element.remove();
    this.#cards.delete(id);
  }

  #drawAll() {
    for (const card of this.#cards.values()) {
      const operation = this.#store.operations.get(card.id);
      if (operation) this.#draw(card, operation);
    }
  }

  #draw(card, op) {
    const { element } = card;
    const revision = op.commit || card.commit;
    attr(element, 'data-state', op.state);
    const at = steps.indexOf(op.state);
    element.querySelectorAll('[data-step]').forEach((step, i) => {
      step.className = i < at || op.state === 'ready' ? 'done' : i === at ? 'now' : '';
      attr(step, 'aria-current', i === at ? 'step' : null);
    });
    element.querySelector('.steps').hidden = ends.has(op.state) && op.state !== 'ready' || op.state === 'awaiting_review';
    const commit = element.querySelector('.commit');
    if (commit.dataset.drawn !== revision + op.state) {
      commit.dataset.drawn = revision + op.state;
      fill(commit, op.state === 'awaiting_review' ? awaiting(card) : ['Commit ', h('code', { title: revision }, short(revision))]);
      const shape = op.state === 'ready' ? 'running' : ends.has(op.state) ? 'failed' : 'starting';
      fill(element.querySelector('.mark'), icon(shape, op.state === 'ready' ? 'good' : ends.has(op.state) ? 'bad' : 'busy'));
    }
    const why = op.state === 'ready' ? op.message ?? '' : because(op.reason, op.message);
    text(element.querySelector('.card-why'), ends.has(op.state) && op.state !== 'ready' ? `${sentence(op.state)}. ${why}` : why);
    if (card.said !== op.state) {
      card.said = op.state;
      announce(`${sentence(op.action)} ${op.target}: ${op.state.replace('_', ' ')}${op.state === 'committed' ? ` as ${short(revision)}` : ''}.`);
      if (ends.has(op.state)) card.ended = Date.now();
    }
    this.#took(card, op);
  }

  #took(card, op) {
    const took = age(card.begun, card.ended ?? Date.now());
    text(card.element.querySelector('.took'), ends.has(op.state) ? `${op.state} after ${took}` : `${op.state.replace('_', ' ')}, ${took}`);
  }

  #tick() {
    for (const card of this.#cards.values()) {
      const op = this.#store.operations.get(card.id);
      if (!op) continue;
      this.#took(card, op);
      const watched = card.element.matches(':hover, :focus-within');
      if (op.state === 'ready' && Date.now() - card.ended > stays && !watched) this.#drop(card.id);
    }
    if (this.#cards.size === 0) clearInterval(this.#timer);
  }

  async #ask() {
    for (const card of this.#cards.values()) {
      if (card.ended) continue;
      try {
        this.#store.setOperation((await this.#api.get(['compute', 'operations', card.id])).body);
      } catch {
        // It is asked for again after the next reconnect.
      }
    }
  }
}

function awaiting(card) {
  return card.review
    ? ['Waits for its review: ', h('a', { href: card.review, rel: 'noreferrer noopener', target: '_blank' }, 'pull request')]
    : 'Waits to be merged';
}
