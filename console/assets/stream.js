// The stream of status frames: kept open, and honest about when it isn't.

const firstWait = 500; // ms
const longestWait = 15000;
// quiet is how long nothing may be heard before the server is asked whether it is still there.
const quiet = 30000;
const unauthorized = 4401;
const tooSlow = 1013;

export class Stream {
  #api; #store; #session;
  #socket = null;
  #seq = 0;
  #tries = 0;
  #timer = 0;
  #watch = 0;
  #heard = 0;
  #run = null;
  #attempt = 0;

  constructor({ api, store, session }) {
    this.#api = api;
    this.#store = store;
    this.#session = session;
    addEventListener('online', () => this.retry());
    addEventListener('offline', () => this.#lost());
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.#check();
    });
    session.onToken((token) => this.#renew(token));
  }

  // start connects, and goes on doing so until stop.
  start() {
    this.stop();
    this.#run = new AbortController();
    this.#watch = setInterval(() => this.#check(), quiet / 2);
    this.#connect();
  }

  stop() {
    this.#run?.abort();
    this.#run = null;
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    this.#drop();
  }

  // retry connects now instead of after the wait.
  retry() {
    if (!this.#run || this.#socket) return;
    clearTimeout(this.#timer);
    this.#tries = 0;
    this.#connect();
  }

  async #connect() {
    const run = this.#run;
    // Somebody may say "try now" while a try is under way: the last one counts.
    const attempt = ++this.#attempt;
    const current = () => run === this.#run && attempt === this.#attempt;
    this.#store.setConnection({ state: this.#heard ? 'reconnecting' : 'connecting', retry: 0 });
    let socket;
    try {
      socket = await this.#api.socket(['compute', 'ws'], this.#seq ? { since: this.#seq } : {}, run.signal);
    } catch (err) {
      if (current() && err.name !== 'AbortError') this.#later(err.retryAfter);
      return;
    }
    if (!current()) {
      socket.close();
      return;
    }
    this.#socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = (event) => this.#message(socket, event);
    socket.onclose = (event) => this.#closed(socket, event);
  }

  #opened(socket) {
    if (socket !== this.#socket) return;
    this.#tries = 0;
    this.#live();
    this.#refresh();
  }

  #message(socket, event) {
    if (socket !== this.#socket) return;
    const frame = JSON.parse(event.data);
    this.#seq = frame.seq;
    this.#live();
    this.#store.apply(frame);
  }

  #closed(socket, event) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    if (event.code === unauthorized) {
      const run = this.#run;
      this.#store.setConnection({ state: 'signed out' });
      this.#session.ended(this.#session.token).then(() => { if (run === this.#run) this.retry(); }, () => {});
      return;
    }
    if (event.code === tooSlow) this.#tries = 0;
    this.#later();
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  // later waits longer each time, and never as long as everybody else does.
  #later(seconds = 0) {
    if (!this.#run) return;
    const most = Math.min(longestWait, firstWait * 2 ** this.#tries++);
    const wait = Math.max(seconds * 1000, most / 2 + Math.random() * most / 2);
    this.#store.setConnection({ state: 'reconnecting', retry: Date.now() + wait });
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #lost() {
    if (!this.#run || !this.#socket) return;
    this.#drop();
    this.#later();
  }

  #live() {
    this.#heard = Date.now();
    this.#store.setConnection({ state: 'live', at: this.#heard, retry: 0 });
  }

  // refresh reads what a resumed stream may not repeat.
  async #refresh() {
    try {
      this.#store.setSync((await this.#api.get(['compute', 'sync'])).body);
    } catch {
      // The next check finds out.
    }
  }

  // check finds out whether a silent server is still there: nothing tells a page
  // of a connection that broke without a word.
  async #check() {
    const socket = this.#socket;
    if (!this.#run || !socket || Date.now() - this.#heard < quiet) return;
    try {
      const { body } = await this.#api.get(['compute', 'sync'], {}, { signal: AbortSignal.timeout(10000) });
      if (socket !== this.#socket) return;
      this.#live();
      this.#store.setSync(body);
    } catch {
      if (socket === this.#socket) this.#lost();
    }
  }

  // renew keeps the stream open past the end of its token.
  #renew(token) {
    if (this.#socket?.readyState === WebSocket.OPEN && token) {
      this.#socket.send(JSON.stringify({ type: 'authorize', data: { token } }));
    }
  }
}
