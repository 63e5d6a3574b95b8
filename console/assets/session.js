// Who reads this page. The token lives in this tab only and as long as it; a
// one-time code in the address is used and removed before anything else happens.

import { Problem, url } from './api.js';

const kept = 'bayplan.token';
const channelName = 'bayplan.session';
// early is how long before its end a token is renewed.
const early = 60_000; // ms

export class Session {
  token = '';
  // identity is who the server takes us for: {actor, user, scopes, expires_at}.
  identity = null;
  #tokenListeners = new Set();
  #identityListeners = new Set();
  #waiting = null;
  #timer = 0;
  #ask;
  #channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel(channelName) : null;

  // ask shows the sign-in; it is given why and ends by calling signIn.
  constructor(ask) {
    this.#ask = ask;
    this.token = recall();
    // bay open makes a new tab; one that waits for a sign-in goes on with it.
    this.#channel?.addEventListener('message', (event) => {
      if (this.#waiting && typeof event.data?.token === 'string') this.signIn(event.data.token).catch(() => {});
    });
  }

  onToken(listener) { this.#tokenListeners.add(listener); }

  // onIdentity hears who we are, at once where that is known.
  onIdentity(listener) {
    this.#identityListeners.add(listener);
    if (this.identity) listener(this.identity);
  }

  may(scope) {
    const scopes = this.identity?.scopes ?? [];
    return scopes.includes(scope) || scopes.includes('admin');
  }

  // begin finds out who we are, and asks where that isn't known.
  async begin() {
    const code = takeCode();
    let why = '';
    if (code) {
      try {
        return await this.redeem(code);
      } catch (err) {
        why = err.status === 401 ? 'That link has been used already or is too old. Run “bay open” for a new one.' : err.message;
      }
    }
    for (;;) {
      try {
        return await this.#whoami(this.token);
      } catch (err) {
        if (err.status === 401) {
          await this.ended(this.token, undefined, why);
          return;
        }
        if (err.status !== 0 && err.status < 500 && err.status !== 429) throw err;
        await new Promise((done) => { setTimeout(done, 2000); });
      }
    }
  }

  // arrive takes a link that was opened in a tab that had the page already; false
  // when the address is no such link.
  arrive() {
    const code = takeCode();
    if (!code) return false;
    this.redeem(code).catch(() => {}); // who we were is who we are
    return true;
  }

  // redeem changes a one-time code for a token.
  async redeem(code) {
    const { token } = await post('auth/code', { code });
    await this.signIn(token);
  }

  // signIn takes a token once the server knows it.
  async signIn(token) {
    const before = this.identity;
    await this.#whoami(token);
    this.token = token;
    remember(token);
    this.#channel?.postMessage({ token });
    const waiting = this.#waiting;
    this.#waiting = null;
    if (before && (before.actor !== this.identity.actor || before.user !== this.identity.user)) {
      location.reload(); // nothing of one reader is shown to another
      return;
    }
    for (const listener of this.#tokenListeners) listener(token);
    waiting?.done();
  }

  // signOut forgets the token.
  signOut() {
    remember('');
    location.reload();
  }

  // ended is told of a token that the server doesn't take any more, and returns
  // when there is another one.
  ended(token, signal, why) {
    if (token !== this.token) return Promise.resolve();
    if (!this.#waiting) {
      let done;
      const promise = new Promise((resolve) => { done = resolve; });
      this.#waiting = { promise, done };
      this.#ask(why || (token ? 'Your sign-in has ended. What you typed is still here.' : ''));
    }
    if (!signal) return this.#waiting.promise;
    return Promise.race([this.#waiting.promise, new Promise((_, fail) => {
      signal.addEventListener('abort', () => fail(signal.reason), { once: true });
    })]);
  }

  async #whoami(token) {
    const response = await reach('auth', { headers: bearer(token) });
    this.identity = response;
    this.#plan(token);
    for (const listener of this.#identityListeners) listener(response);
  }

  // plan renews the token before its end, or asks for another one then.
  #plan(token) {
    clearTimeout(this.#timer);
    const ends = Date.parse(this.identity.expires_at ?? '');
    if (!token || Number.isNaN(ends)) return;
    const left = ends - Date.now();
    // Timers hold 2^31 ms; a token that lasts longer than a day outlives the tab anyway.
    if (left > 86_400_000) return;
    this.#timer = setTimeout(() => this.#renew(token), Math.max(0, left - Math.min(early, left / 2)));
  }

  async #renew(token) {
    const before = Date.parse(this.identity.expires_at);
    try {
      const renewed = this.identity.renewable ? await post('auth/renew', undefined, token) : null;
      if (renewed && Date.parse(renewed.expires_at) > before) {
        await this.signIn(renewed.token);
        return;
      }
    } catch (err) {
      if ((err.status === 0 || err.status >= 500) && Date.now() < before) {
        this.#timer = setTimeout(() => this.#renew(token), 5000);
        return;
      }
    }
    this.ended(token, undefined, 'Your sign-in ends within a minute. Sign in again to go on; what you typed is still here.');
  }
}

const bearer = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

// reach asks without a session, for what a session is made of.
async function reach(path, init = {}) {
  let response;
  try {
    response = await fetch(url(path), { ...init, cache: 'no-store', credentials: 'omit' });
  } catch {
    throw new Problem(0, { detail: 'The server does not answer.' });
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, body);
  return body;
}

function post(path, body, token) {
  const init = { method: 'POST', headers: bearer(token) };
  if (body !== undefined) {
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  return reach(path, init);
}

// takeCode removes a code from the address, so that no history keeps it.
function takeCode() {
  const found = /^#code=([^&]+)/.exec(location.hash);
  if (!found) return '';
  history.replaceState(null, '', `${location.pathname}#/`);
  return decodeURIComponent(found[1]);
}

function recall() {
  try {
    return sessionStorage.getItem(kept) ?? '';
  } catch {
    return '';
  }
}

function remember(token) {
  try {
    if (token) sessionStorage.setItem(kept, token);
    else sessionStorage.removeItem(kept);
  } catch {
    // Without storage the token lives as long as the page.
  }
}
