// The bar at the top, and below it what one must know: a lost connection, and
// a sync that doesn't go on.

import { announce, attr, byId, button, fill, h, icon, iconButton, text } from './dom.js';
import { clock } from './format.js';
import { showHelp } from './help.js';

const themes = ['system', 'light', 'dark'];

export class Bar {
  #connection; #who; #session; #stream; #store; #banner; #timer = 0; #lost = false;

  constructor({ store, session, stream, sync, create }) {
    this.#session = session;
    this.#stream = stream;
    this.#store = store;
    this.#connection = h('span', { class: 'connection' });
    this.#who = h('span', { class: 'who' });
    fill(byId('bar'),
      h('a', { class: 'brand', href: '#/', 'aria-label': 'Bayplan, all containers' }, icon('logo'), h('span', {}, 'Bayplan')),
      sync.chip,
      this.#connection,
      h('span', { class: 'gap' }),
      button(h('span', {}, 'Create'), create, { class: 'button primary', shape: 'plus', 'aria-label': 'Create', 'aria-keyshortcuts': 'c', id: 'create' }),
      this.#theme(),
      iconButton('help', 'Keys and help (?)', showHelp, { 'aria-keyshortcuts': '?' }),
      this.#who);
    this.#banner = h('div', { class: 'banner lost', hidden: true });
    byId('banners').append(this.#banner, sync.banner);
    store.on('connection', () => this.#draw());
    session.onIdentity(() => this.#drawWho());
    this.#draw();
  }

  #theme() {
    let now = document.documentElement.dataset.theme ?? 'system';
    const b = iconButton('theme', `Theme: ${now}`, () => {
      now = themes[(themes.indexOf(now) + 1) % themes.length];
      if (now === 'system') delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = now;
      try {
        localStorage.setItem('bayplan.theme', now);
      } catch {
        // It is for this visit then.
      }
      attr(b, 'aria-label', `Theme: ${now}`);
      attr(b, 'title', `Theme: ${now}`);
      announce(`Theme: ${now}`);
    });
    return b;
  }

  #drawWho() {
    const { actor, user, expires_at: ends } = this.#session.identity;
    const name = user && user !== actor ? `${actor} (user ${user})` : actor;
    fill(this.#who, h('span', { class: 'name', title: name }, name), ends && button('Sign out', () => this.#session.signOut(), { class: 'button quiet' }));
  }

  #draw() {
    const { state, at, retry } = this.#store.connection;
    const live = state === 'live';
    attr(this.#connection, 'data-state', live ? 'live' : 'lost');
    if (this.#connection.dataset.drawn !== state) {
      this.#connection.dataset.drawn = state;
      fill(this.#connection, icon(live ? 'running' : 'pending'), h('span', {}, live ? 'live' : state));
    }
    clearInterval(this.#timer);
    this.#banner.hidden = live || at === 0;
    if (!this.#banner.hidden) {
      this.#sayLost(at, retry);
      this.#timer = setInterval(() => this.#sayLost(at, retry), 1000);
    }
    if (this.#lost === (!live && at > 0)) return;
    // Said once, not at every try.
    this.#lost = !this.#lost;
    announce(this.#lost ? `Connection lost. What you see is of ${clock(at)}.` : 'Connected again.');
  }

  #sayLost(at, retry) {
    const wait = Math.ceil((retry - Date.now()) / 1000);
    const state = this.#store.connection.state === 'signed out' ? 'Signed out' : 'Reconnecting …';
    const sentence = `${state}, what you see is of ${clock(at)}.${wait > 0 ? ` Next try in ${wait}s.` : ''}`;
    if (this.#banner.childElementCount === 0) {
      fill(this.#banner, icon('unready'), h('span', { class: 'words' }), button('Try now', () => this.#stream.retry(), { class: 'button small' }));
    }
    text(this.#banner.querySelector('.words'), sentence);
  }
}
