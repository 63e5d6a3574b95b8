// Creating a container: the schema's own findings beside the fields while one
// types, and what the commit will be.

import { attr, button, fill, h, icon, uid } from './dom.js';
import { planned } from './actions.js';
import { beside, build, fields } from './fields.js';
import { problem } from './problem.js';

// pause is how long nobody types before what is there is checked.
const pause = 400; // ms

export class Form {
  #api; #actions; #session; #store;
  #dialog = null; #parts = {}; #inputs = {};
  #timer = 0; #check = null; #presets = [];

  constructor({ api, actions, session, store }) {
    this.#api = api;
    this.#actions = actions;
    this.#session = session;
    this.#store = store;
  }

  // show opens the form with what was typed before.
  show() {
    if (!this.#actions.allowed) return;
    if (!this.#dialog) this.#build();
    if (this.#dialog.open) return;
    this.#dialog.showModal();
    this.#offer();
    const first = fields.find((f) => this.#inputs[f.name] && !this.#inputs[f.name].value && ['user', 'name'].includes(f.name));
    (this.#inputs[first?.name] ?? this.#inputs.name).focus();
  }

  #build() {
    const title = uid('create');
    const p = this.#parts = {
      wrong: h('div', { role: 'alert' }),
      preview: h('div', { class: 'stack tight', 'aria-live': 'polite' }, hint()),
      lists: h('div', { hidden: true }),
      go: button('Create', null, { type: 'submit', class: 'button primary', 'data-action': 'create' }),
    };
    const draw = (...names) => names.map((name) => this.#field(fields.find((f) => f.name === name)));
    const admin = this.#session.may('admin');
    this.#dialog = h('dialog', { class: 'dialog create', 'aria-labelledby': title },
      h('form', {
        method: 'dialog', class: 'create-form', novalidate: true,
        on: { submit: (event) => { event.preventDefault(); this.#submit(); }, input: (event) => this.#typed(event) },
      },
      h('header', { class: 'dialog-head' }, h('h2', { class: 'title', id: title }, 'Create a container'),
        button('Start over', () => this.#reset(), { class: 'link' })),
      h('div', { class: 'create-body' },
        h('div', { class: 'stack fields-side' },
          h('div', { class: admin ? 'columns three' : 'columns' }, draw(...(admin ? ['user'] : []), 'space', 'name')),
          h('div', { class: 'columns' }, draw('from', 'image')),
          h('div', { class: 'columns' }, draw('command', 'args')),
          h('div', { class: 'columns three' }, draw('ports', 'ingress', 'target')),
          h('div', { class: 'columns three' }, draw('cpu', 'memory', 'ttl')),
          h('div', { class: 'columns' }, draw('env', 'volumes')),
          h('details', {}, h('summary', {}, 'More of the spec'), draw('more'))),
        h('aside', { class: 'preview-side', 'aria-label': 'What the commit will be', tabindex: '0' }, p.preview)),
      h('footer', { class: 'dialog-foot' }, p.wrong, h('span', { class: 'gap' }), button('Cancel', () => this.#dialog.close()), p.go)), p.lists);
    document.body.append(this.#dialog);
    if (admin) this.#inputs.user.value = this.#session.identity.user ?? '';
  }

  #field(f) {
    const id = uid('field');
    const shared = {
      id, name: f.name, class: `input ${f.mono ? 'mono' : ''}`, 'aria-describedby': `${id}-said`,
      autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', required: f.required, 'aria-required': f.required && 'true',
      placeholder: f.placeholder,
    };
    let input;
    if (f.choices) input = h('select', shared, Object.entries(f.choices).sort(([a], [b]) => a - b).map(([value, label]) => h('option', { value }, label)));
    else if (f.options) input = h('select', shared, h('option', { value: '' }, 'None'));
    else if (f.rows) input = h('textarea', { ...shared, rows: f.rows });
    else input = h('input', { ...shared, list: f.list && `list-${f.list}` });
    this.#inputs[f.name] = input;
    const said = h('div', { id: `${id}-said`, class: 'said' }, f.hint && h('p', { class: 'hint' }, f.hint));
    this.#parts[`said-${f.name}`] = said;
    return h('div', { class: 'field', 'data-field': f.name }, h('label', { class: 'label', for: id }, f.label, f.required && h('span', { 'aria-hidden': 'true' }, ' *')), input, said);
  }

  // offer fills what one may choose from, as it is now.
  async #offer() {
    const user = this.#inputs.user?.value || this.#session.identity.user;
    const spaces = new Set([...this.#store.containers.values()].filter((c) => !user || c.user === user).map((c) => c.space));
    const list = (name, values) => h('datalist', { id: `list-${name}` }, values.map((value) => h('option', { value })));
    const ask = (pieces, query) => this.#api.get(pieces, query).then((a) => a.body, () => ({ items: [] }));
    const [presets, images, limits] = await Promise.all([
      ask(['compute', 'presets'], { limit: 1000 }), ask(['compute', 'images'], { limit: 200 }), user ? ask(['compute', 'limits'], { user }) : {},
    ]);
    if (!this.#dialog) return;
    fill(this.#parts.lists, list('spaces', [...spaces].slice(0, 500)), list('images', images.items.map((i) => i.image)));
    this.#presets = presets.items;
    const chosen = this.#inputs.from.value;
    fill(this.#inputs.from, h('option', { value: '' }, presets.items.length > 0 ? 'None' : 'The platform has none'), presets.items.map((p) => h('option', { value: p.name }, p.name)));
    this.#inputs.from.value = chosen;
    for (const f of fields.filter((one) => one.limit)) {
      const row = limits.rows?.find((r) => r.what === f.limit);
      f.hint = row ? `${user} uses ${row.used}${row.limit ? ` of ${row.limit}` : ''}.` : '';
    }
    await this.#look();
  }

  #values() {
    return Object.fromEntries(Object.entries(this.#inputs).map(([name, input]) => [name, input.value]));
  }

  #typed(event) {
    fill(this.#parts.wrong);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), pause);
    if (event.target.name === 'from') this.#drawFindings({});
  }

  // look asks what would come of it, without doing it.
  async #look() {
    this.#check?.abort();
    const check = this.#check = new AbortController();
    if (!this.#dialog) return;
    const values = this.#values();
    if (!values.name || !(values.image || values.from)) {
      this.#drawFindings({});
      fill(this.#parts.preview, hint());
      return;
    }
    try {
      const answer = await this.#api.write('POST', ['compute', 'containers'], { body: build(values), query: { dry_run: true } });
      if (check.signal.aborted) return;
      this.#drawFindings({});
      fill(this.#parts.preview, preview(answer));
    } catch (err) {
      if (check.signal.aborted) return;
      this.#wrong(err);
    }
  }

  async #submit() {
    clearTimeout(this.#timer);
    this.#check?.abort();
    const { go, wrong } = this.#parts;
    go.disabled = true;
    fill(wrong);
    try {
      this.#actions.done(await this.#api.write('POST', ['compute', 'containers'], { body: build(this.#values()) }), 'It is so already.');
      this.#dialog.close();
      this.#discard();
    } catch (err) {
      this.#wrong(err, true);
      this.#dialog.querySelector('[aria-invalid=true]')?.focus();
    } finally {
      go.disabled = false;
    }
  }

  // wrong shows findings beside their fields, and the rest at the end.
  #wrong(err, final) {
    if (err instanceof SyntaxError) {
      this.#drawFindings({ more: [{ message: `This is no JSON: ${err.message}` }] });
      return;
    }
    const found = beside(err.errors ?? []);
    this.#drawFindings(found);
    const rest = found[''] ?? [];
    const told = Object.keys(found).some((name) => name !== '');
    const shown = !told || rest.length > 0 ? problem({ message: err.message, errors: rest }) : null;
    fill(this.#parts.preview, shown ?? h('p', { class: 'hint' }, 'Nothing can be committed before what is wrong is mended.'));
    if (final) fill(this.#parts.wrong, h('p', { class: 'problem' }, icon('failed'), h('span', {}, err.message)));
  }

  #drawFindings(found) {
    for (const f of fields) {
      const input = this.#inputs[f.name];
      if (!input) continue;
      const wrong = found[f.name] ?? [];
      attr(input, 'aria-invalid', wrong.length > 0 ? 'true' : null);
      const preset = f.name === 'from' && this.#presets.find((p) => p.name === input.value);
      const note = preset ? preset.description : f.hint;
      fill(this.#parts[`said-${f.name}`],
        wrong.map((e) => h('p', { class: 'finding' }, icon('failed'), h('span', {}, e.message, e.hint && h('span', { class: 'hint' }, ` ${e.hint}`)))),
        wrong.length === 0 && note && h('p', { class: 'hint' }, note));
    }
  }

  #reset() {
    this.#discard();
    this.show();
  }

  #discard() {
    this.#check?.abort();
    this.#dialog.close();
    this.#dialog.remove();
    this.#dialog = null;
    this.#inputs = {};
  }
}

function hint() {
  return h('p', { class: 'hint' }, 'With a name and an image, this says what the commit will be.');
}

// preview is the file that a commit makes, and what comes of it.
function preview(answer) {
  return [
    h('h3', {}, answer.body.subject ?? 'The commit'),
    planned(answer),
    (answer.body.files ?? []).map((f) => h('pre', { class: 'block diff' }, diffLines(f.diff ?? ''))),
  ];
}

function diffLines(diff) {
  return diff.split('\n').filter((line) => line && !line.startsWith('@@')).map((line) => {
    const tag = line.startsWith('+') ? 'ins' : line.startsWith('-') ? 'del' : 'span';
    return h(tag, {}, `${line.slice(1)}\n`);
  });
}
