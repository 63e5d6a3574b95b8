// The sign-in: over the page, so that nothing below is lost.

import { button, fill, h, uid } from './dom.js';

export class SignIn {
  #session;
  #dialog = null;

  use(session) {
    this.#session = session;
    session.onToken(() => this.#close());
  }

  // show asks for a token, saying why where there is something to say.
  show(why) {
    if (this.#dialog) return;
    const wrong = h('p', { class: 'problem', role: 'alert' });
    const id = uid('token');
    const input = h('input', {
      id, type: 'password', autocomplete: 'off', spellcheck: 'false', class: 'input', required: true,
      'aria-describedby': `${id}-hint`,
    });
    const form = h('form', {
      method: 'dialog', class: 'stack',
      on: { submit: (event) => { event.preventDefault(); this.#try(input.value.trim(), wrong); } },
    },
    h('h1', { class: 'title' }, 'Sign in to Bayplan'),
    why && h('p', { class: 'note' }, why),
    h('p', {}, 'Run this where you use the command line. It opens the page signed in, and this tab goes on by itself:'),
    h('pre', { class: 'block' }, 'bay open'),
    h('label', { class: 'field' }, h('span', { class: 'label' }, 'Or paste a token, or the link that it prints'), input),
    h('p', { id: `${id}-hint`, class: 'hint' }, 'It is kept in this tab only, until you close it.'),
    wrong,
    h('div', { class: 'row end' }, button('Sign in', null, { type: 'submit', class: 'button primary' })));
    this.#dialog = h('dialog', {
      class: 'dialog narrow', 'aria-label': 'Sign in', on: {
        cancel: (event) => event.preventDefault(),
        // A browser lets a second Esc close any dialog.
        close: () => this.#dialog?.showModal(),
      },
    }, form);
    document.body.append(this.#dialog);
    this.#dialog.showModal();
  }

  async #try(given, wrong) {
    fill(wrong);
    if (!given) return;
    try {
      const code = /#code=([^&\s]+)/.exec(given);
      if (code) await this.#session.redeem(decodeURIComponent(code[1]));
      else await this.#session.signIn(given.replace(/^Bearer\s+/i, ''));
    } catch (err) {
      fill(wrong, err.status === 401 ? 'The server doesn’t know it, or it has ended.' : err.message);
    }
  }

  #close() {
    const dialog = this.#dialog;
    this.#dialog = null;
    dialog?.close();
    dialog?.remove();
  }
}
