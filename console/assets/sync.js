// How far the cluster follows the repository: in a word at the top, and in full
// where it doesn't go on by itself.

import { announce, attr, button, fill, h, icon } from './dom.js';
import { count, moment, sentence, short } from './format.js';
import { problem } from './problem.js';

const shapes = { synced: 'running', applying: 'starting', pending: 'pending', failed: 'failed', halted: 'halted', stale: 'unready' };
const tones = { synced: 'good', applying: 'busy', pending: 'busy', failed: 'bad', halted: 'bad', stale: 'warn' };

const reasons = {
  MassDelete: 'One change would delete more than is usual.',
  MassExpiry: 'More containers expire at once than is usual.',
  HistoryRewritten: 'The branch was rewritten: its head does not descend from what was synced last.',
  RepositoryEmpty: 'The repository has no space any more.',
  ClockJump: 'The clock has jumped.',
};

export class Sync {
  chip; banner;
  #store; #api; #session; #dialog = null;

  constructor({ store, api, session }) {
    this.#store = store;
    this.#api = api;
    this.#session = session;
    this.chip = h('button', { type: 'button', class: 'sync-chip', 'aria-haspopup': 'dialog', 'aria-keyshortcuts': 't', on: { click: () => this.show() } });
    this.banner = h('section', { class: 'banner halt', 'aria-label': 'The sync', hidden: true });
    store.on('sync', () => this.#draw());
    session.onIdentity(() => this.#draw());
    this.#draw();
  }

  #draw() {
    const sync = this.#store.sync ?? { state: 'pending', revision: '' };
    const drawn = JSON.stringify([sync, this.#session.identity?.scopes]);
    if (this.chip.dataset.drawn === drawn) return;
    const before = this.chip.dataset.state;
    this.chip.dataset.drawn = drawn;
    attr(this.chip, 'data-state', sync.state);
    this.chip.className = `sync-chip ${tones[sync.state] ?? ''}`;
    fill(this.chip, icon(shapes[sync.state] ?? 'pending'), h('span', { class: 'unseen' }, 'Sync: '), h('span', {}, sync.state),
      sync.revision && h('code', {}, short(sync.revision)));
    this.#drawBanner(sync);
    if (before && before !== sync.state && (sync.state === 'halted' || before === 'halted')) announce(`The sync is ${sync.state}.`);
    if (this.#dialog?.open) this.#fillDialog();
  }

  #drawBanner(sync) {
    const errors = (sync.findings ?? []).filter((f) => f.severity === 'error').length;
    const wrong = ['halted', 'failed', 'stale'].includes(sync.state);
    this.banner.hidden = !wrong && errors === 0;
    this.banner.className = `banner ${wrong ? tones[sync.state] : 'warn'}`;
    if (this.banner.hidden) return;
    const words = h('div', { class: 'words' });
    if (sync.state === 'halted') {
      words.append(h('strong', {}, `Halted: ${reasons[sync.reason] ?? sync.reason}`), ' ', sync.message ?? '');
    } else if (wrong) {
      words.append(h('strong', {}, sync.state === 'stale' ? 'The repository can’t be read.' : `${count(sync.failed, 'space')} could not be applied; it is tried again.`), ' ', sync.message ?? '');
    } else {
      words.append(h('strong', {}, `${count(errors, 'error')} in the repository.`), ' The spaces of those files stay as they are until that is mended.');
    }
    fill(this.banner, icon(wrong ? shapes[sync.state] : 'unready'), words,
      button(sync.state === 'halted' && sync.confirm ? 'Look and decide' : 'Show', () => this.show(), { class: 'button small' }));
  }

  // show opens what the sync does in full.
  show() {
    if (this.#dialog) return;
    this.#dialog = h('dialog', { class: 'dialog', 'aria-labelledby': 'sync-title', on: { close: () => { this.#dialog.remove(); this.#dialog = null; } } });
    this.#fillDialog();
    document.body.append(this.#dialog);
    this.#dialog.showModal();
  }

  #fillDialog() {
    const sync = this.#store.sync ?? { state: 'pending', revision: '' };
    const wrong = h('div', { role: 'alert' });
    const fact = (name, value) => [h('dt', {}, name), h('dd', {}, value)];
    fill(this.#dialog, h('div', { class: 'stack' },
      h('h2', { class: 'title', id: 'sync-title' }, `The sync: ${sync.state}`),
      h('dl', { class: 'facts' },
        fact('Commit', h('code', {}, sync.revision || 'none yet')),
        fact('Objects', `${sync.applied ?? 0} applied, ${sync.pruned ?? 0} pruned, ${sync.unchanged ?? 0} unchanged`),
        sync.failed > 0 && fact('Failed', count(sync.failed, 'space')),
        sync.time && fact('As of', moment(sync.time)),
        sync.reason && fact('Reason', sync.reason)),
      sync.message && h('p', { class: 'note' }, sync.message),
      pendingList(sync), findingList(sync.findings ?? []),
      wrong,
      h('div', { class: 'row end' }, this.#confirm(sync, wrong), button('Close', () => this.#dialog.close()))));
  }

  // confirm is the operator's word that a halt may go on.
  #confirm(sync, wrong) {
    if (sync.state !== 'halted' || !sync.confirm) return null;
    if (!this.#session.may('admin')) return h('span', { class: 'hint grow' }, 'An operator has to confirm it.');
    const go = button(`Confirm: ${sync.reason === 'HistoryRewritten' ? 'follow the new history' : 'delete what is held back'}`, async () => {
      go.disabled = true;
      try {
        await this.#api.call('POST', ['compute', 'sync', 'confirm'], { body: { revision: sync.confirm } });
        announce('Confirmed.');
        this.#dialog?.close();
      } catch (err) {
        go.disabled = false;
        fill(wrong, problem(err));
      }
    }, { class: 'button danger', 'data-action': 'confirm' });
    return go;
  }
}

function pendingList(sync) {
  if (!sync.pending?.length) return null;
  return h('div', { class: 'stack tight' },
    h('h3', {}, 'Held back: these containers and whole spaces'),
    h('ul', { class: 'ids', tabindex: '0', 'aria-label': 'What is held back' }, sync.pending.map((id) => h('li', {}, id))));
}

// findingList shows findings as everywhere: where, what, how to mend.
export function findingList(findings) {
  if (findings.length === 0) return null;
  return h('div', { class: 'stack tight' },
    h('h3', {}, count(findings.length, 'finding')),
    h('ul', { class: 'findings' }, findings.map((f) => h('li', { class: f.severity === 'warning' ? 'warn' : 'bad' },
      icon(f.severity === 'warning' ? 'unready' : 'failed'),
      h('div', {},
        h('code', {}, [f.file, f.line, f.column].filter(Boolean).join(':')), ' ',
        sentence(f.severity ?? 'error'), ': ', f.path && h('code', {}, f.path), f.path && ': ', f.message,
        f.help && h('p', { class: 'hint' }, f.help))))));
}
