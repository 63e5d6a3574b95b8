// What can be done with a container. Each is one commit.

import { announce, byId, button, fill, h, icon, uid } from './dom.js';
import { count, sentence } from './format.js';
import { problem } from './problem.js';

export class Actions {
  #api; #changes; #session;

  constructor({ api, changes, session }) {
    this.#api = api;
    this.#changes = changes;
    this.#session = session;
  }

  get allowed() { return this.#session.may('write'); }

  start(id) { return this.#post(id, 'start'); }
  stop(id) { return this.#post(id, 'stop'); }
  restart(id) { return this.#post(id, 'restart'); }

  // rollBack asks, showing what would change, and does it.
  rollBack(id, revision, when) {
    const pieces = ['compute', 'containers', id, 'rollback'];
    this.#ask({
      title: `Roll ${id} back`, words: `It gets the spec that it had at ${when}, as a new commit.`, label: 'Roll back',
      plan: () => this.#api.write('POST', pieces, { body: { revision }, query: { dry_run: true } }),
      act: () => this.#api.write('POST', pieces, { body: { revision } }),
    });
  }

  // remove asks for the name, showing what goes with the container. What changes
  // after that has been shown makes the deletion fail.
  remove(id, name) {
    const pieces = ['compute', 'containers', id];
    const headers = {};
    this.#ask({
      title: `Delete ${id}`, words: 'Its file goes in one commit, and everything of it in the cluster. The history keeps it: it can be rolled back.',
      label: 'Delete', type: name, danger: true,
      plan: async () => {
        const { etag } = await this.#api.get(pieces);
        if (etag) headers['If-Match'] = etag;
        return this.#api.write('DELETE', pieces, { headers, query: { dry_run: true } });
      },
      act: () => this.#api.write('DELETE', pieces, { headers }),
    });
  }

  async #post(id, action) {
    try {
      this.done(await this.#api.write('POST', ['compute', 'containers', id, action]), `${sentence(action)} ${id}: nothing had to change.`);
    } catch (err) {
      this.#fail(`${sentence(action)} ${id}`, err);
    }
  }

  // done follows what a write has made.
  done(answer, unchanged) {
    if (answer.status === 204 || !answer.body.operation) this.#changes.unchanged('It is gone already.');
    else if (answer.status === 200 && answer.body.operation.state === 'ready') this.#changes.unchanged(unchanged);
    else this.#changes.follow(answer.body);
  }

  #fail(what, err) {
    announce(`${what}: ${err.message}`);
    const card = h('article', { class: 'card', 'data-state': 'failed', 'aria-label': what },
      h('div', { class: 'card-head' }, icon('failed', 'bad'), h('strong', {}, what), button('Dismiss', () => card.remove(), { class: 'link' })), problem(err));
    byId('changes').prepend(card);
  }

  #ask({ title, words, label, type, danger, plan, act }) {
    const id = uid('ask');
    const wrong = h('div', { role: 'alert' });
    const go = button(label, null, { type: 'submit', class: `button ${danger ? 'danger' : 'primary'}`, disabled: Boolean(type) });
    const input = type && h('input', {
      class: 'input', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', on: { input: () => { go.disabled = input.value !== type; } },
    });
    const preview = h('div', { class: 'stack tight', 'aria-live': 'polite' }, h('p', { class: 'hint' }, 'Looking at what it does …'));
    const dialog = h('dialog', { class: 'dialog narrow', 'aria-labelledby': id, on: { close: () => dialog.remove() } },
      h('form', { method: 'dialog', class: 'stack', on: { submit: (event) => { event.preventDefault(); run(); } } },
        h('h2', { class: 'title', id }, title), h('p', {}, words), preview,
        input && h('label', { class: 'field' }, h('span', { class: 'label' }, 'Type ', h('code', {}, type), ' to confirm'), input),
        wrong,
        h('div', { class: 'row end' }, button('Cancel', () => dialog.close()), go)));
    const run = async () => {
      if (go.disabled) return;
      go.disabled = true;
      try {
        this.done(await act(), 'Nothing had to change.');
        dialog.close();
      } catch (err) {
        fill(wrong, problem(err));
        go.disabled = false;
      }
    };
    document.body.append(dialog);
    dialog.showModal();
    plan().then((answer) => fill(preview, planned(answer)), (err) => fill(preview, problem(err)));
  }
}

// planned is what a dry run says that a change does.
export function planned({ status, body }) {
  if (status === 204) return h('p', { class: 'hint' }, 'There is nothing to delete any more.');
  const changes = body.plan?.changes ?? [];
  const cautions = [...(body.plan?.cautions ?? []), ...changes.flatMap((c) => c.cautions ?? [])];
  const objects = changes.flatMap((c) => c.objects ?? []);
  const quotas = (body.plan?.quotas ?? []).flatMap((q) => q.rows ?? []).filter((r) => r.before !== r.after || r.over);
  const files = body.files ?? [];
  if (files.length === 0) return h('p', { class: 'hint' }, 'Nothing would change.');
  return [
    cautions.length > 0 && h('ul', { class: 'cautions', 'aria-label': 'Cautions' }, cautions.map((c) => h('li', { class: c.level === 'danger' ? 'bad' : 'warn' },
      icon(c.level === 'danger' ? 'failed' : 'unready'), h('span', {}, sentence(c.message))))),
    h('ul', { class: 'plan' },
      files.map((f) => h('li', {}, action(f.action), h('code', {}, f.file))),
      objects.length > 0 && h('li', {}, action('change'), `${count(objects.length, 'object')} in the cluster: ${kinds(objects)}`),
      quotas.map((q) => h('li', { class: q.over ? 'bad' : '' }, action('change'), `${q.what}: ${q.before || '0'} → ${q.after || '0'}${q.limit ? ` of ${q.limit}` : ''}`))),
  ];
}

function kinds(objects) {
  const seen = new Map();
  for (const { kind } of objects) seen.set(kind, (seen.get(kind) ?? 0) + 1);
  return [...seen].map(([kind, n]) => (n > 1 ? `${n} ${kind}` : kind)).join(', ');
}

const marks = { create: ['plus', 'created', 'good'], change: ['tilde', 'changed', 'busy'], delete: ['minus', 'deleted', 'bad'] };

// action is a shape and, for who can't see it, a word.
export function action(name) {
  const [shape, word, tone] = marks[name] ?? marks.change;
  return h('span', { class: `action ${tone}` }, icon(shape), h('span', { class: 'unseen' }, `${word}: `));
}
