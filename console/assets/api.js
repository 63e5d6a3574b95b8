// The API as the page asks it. Every answer that isn't a success is a Problem.

// Problem is an error as the API tells it (RFC 9457).
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The server answers ${status}.`);
    this.status = status;
    this.code = body.code ?? '';
    this.errors = body.errors ?? [];
    this.retryAfter = body.retryAfter ?? 0;
    this.operation = body.operation;
  }

  // gone says that it doesn't exist, or isn't ours to see.
  get gone() { return this.status === 404; }
}

const unreachable = { detail: 'The server does not answer. What you typed is still here; try again.', code: 'unreachable' };

// url is an address of the API: relative, so that the page works below any path.
export function url(path, scheme) {
  const u = new URL(path.replace(/^\//, ''), document.baseURI);
  if (scheme === 'ws') u.protocol = u.protocol === 'https:' ? 'wss:' : 'ws:';
  u.hash = '';
  return u;
}

// path joins parts of a path and a query; parts are escaped, empty values left out.
export function path(pieces, query = {}) {
  const text = pieces.map(encodeURIComponent).join('/');
  const search = new URLSearchParams(Object.entries(query).filter(([, v]) => v !== undefined && v !== '' && v !== false));
  return search.size > 0 ? `${text}?${search}` : text;
}

export class Api {
  #session;

  constructor(session) {
    this.#session = session;
  }

  get(pieces, query, options) { return this.call('GET', pieces, { query, ...options }); }

  // probe asks what a WebSocket can't be told: why it is refused.
  async probe(pieces, query, signal) {
    try {
      await this.get(pieces, query, { signal });
    } catch (err) {
      if (!(err instanceof Problem && err.status < 300 && err.status > 0)) throw err;
    }
  }

  // call asks, and once more when the token had ended and there is a new one.
  async call(method, pieces, { query, body, headers = {}, signal, type = 'application/json' } = {}) {
    const target = url(path(pieces, query));
    for (let again = false; ; again = true) {
      const token = this.#session.token;
      const init = { method, headers: { Accept: 'application/json', ...headers }, signal, cache: 'no-store', credentials: 'omit' };
      if (token) init.headers.Authorization = `Bearer ${token}`;
      if (body !== undefined) {
        init.headers['Content-Type'] = type;
        init.body = JSON.stringify(body);
      }
      const response = await ask(target, init);
      if (response.status === 401 && !again) {
        await this.#session.ended(token, signal);
        continue;
      }
      return answer(response);
    }
  }

  // write makes one commit however often it is repeated: the key says that it
  // is the same call.
  write(method, pieces, { body, query, headers = {}, key = crypto.randomUUID?.() ?? draw() } = {}) {
    return this.call(method, pieces, { body, query, headers: { 'Idempotency-Key': key, ...headers } });
  }

  // socket opens a WebSocket with a ticket, since it can't send a header.
  async socket(pieces, query = {}, signal) {
    const all = { ...query };
    if (this.#session.token) {
      const { body } = await this.call('POST', ['auth', 'ticket'], { signal });
      all.ticket = body.ticket;
    }
    return new WebSocket(url(path(pieces, all), 'ws'));
  }
}

// draw stands in for randomUUID, which browsers keep from plain HTTP.
function draw() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}

async function ask(target, init) {
  try {
    return await fetch(target, init);
  } catch (err) {
    if (err.name === 'AbortError') throw err;
    throw new Problem(0, unreachable);
  }
}

// answer is the body and what of the headers is of use.
async function answer(response) {
  let body = {};
  try {
    if (response.status !== 204) body = await response.json();
  } catch (err) {
    if (err.name === 'AbortError') throw err;
    body = { detail: `The server's answer (${response.status}) is no JSON.` };
    if (response.ok) throw new Problem(response.status, body);
  }
  if (!response.ok) {
    throw new Problem(response.status, { ...body, retryAfter: Number(response.headers.get('Retry-After')) || 0 });
  }
  return { status: response.status, body, etag: response.headers.get('ETag') ?? '' };
}
