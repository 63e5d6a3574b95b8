// The page: what there is, wired.

import { Actions } from './actions.js';
import { Api } from './api.js';
import { Bar } from './bar.js';
import { Changes } from './changes.js';
import { Detail } from './detail.js';
import { byId, fill } from './dom.js';
import { Form } from './form.js';
import { showHelp, singleKeys } from './help.js';
import { List } from './list.js';
import { problem } from './problem.js';
import { place, read } from './route.js';
import { Session } from './session.js';
import { SignIn } from './signin.js';
import { Store } from './store.js';
import { Stream } from './stream.js';
import { Sync } from './sync.js';

const signIn = new SignIn();
const session = new Session((why) => signIn.show(why));
signIn.use(session);
const api = new Api(session);
const store = new Store();
const stream = new Stream({ api, store, session });
const changes = new Changes({ store, api });
const actions = new Actions({ api, changes, session });
const form = new Form({ api, actions, session, store });
const sync = new Sync({ store, api, session });
const create = () => form.show();

async function begin() {
  addEventListener('hashchange', () => session.arrive());
  try {
    await session.begin();
  } catch (err) {
    fill(byId('main'), problem(err, () => location.reload()));
    return;
  }
  new Bar({ store, session, stream, sync, create });
  const list = new List({ root: byId('fleet'), store, go: (id) => { location.hash = place(id); }, create });
  const detail = new Detail({ root: byId('detail'), store, api, session, actions });
  const go = () => travel(list, detail);
  addEventListener('hashchange', go);
  document.addEventListener('keydown', (event) => key(event, list, detail));
  go();
  if (!detail.id) list.focus();
  stream.start();
}

// travel goes where the address says.
function travel(list, detail) {
  const { id, tab } = read();
  const before = detail.id;
  detail.show(id, tab);
  list.mark(id);
  byId('main').classList.toggle('split', Boolean(id));
  document.title = id ? `${id} · Bayplan` : 'Bayplan';
  if (id && id !== before) detail.focus();
  else if (!id && before) list.focus(before);
}

// key does what a key stands for where nobody types.
function key(event, list, detail) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  const typing = event.target.closest?.('input, textarea, select, .xterm');
  if (typing || (event.key.length === 1 && event.key !== '?' && !singleKeys())) return;
  if (event.key === 'Escape' && detail.id) location.hash = place('');
  else if (event.key === '/') list.search();
  else if (event.key === 'c') create();
  else if (event.key === '?') showHelp();
  else if (event.key === 't') sync.show();
  else if ((event.key === 'j' || event.key === 'k') && !detail.id) list.focus();
  else if (!detail.id || !detail.key(event.key)) return;
  event.preventDefault();
}

begin();
