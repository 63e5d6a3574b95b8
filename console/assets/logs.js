// What a container writes, followed. The page keeps the last lines only.

import { button, fill, h, text } from './dom.js';
import { count } from './format.js';

// kept bounds the lines; asked is how many of the last ones are read at first.
const kept = 5000;
const asked = 1000;
const retry = 3000; // ms
// runs are the states in which there may be something to follow.
const runs = new Set(['running', 'unready', 'starting', 'failed']);

export function logsTab(context) {
  const lines = []; // {text, time, element}
  let waiting = []; // what came while paused or since the last picture
  let paused = false;
  let scheduled = false;
  let socket = null;
  let timer = 0;
  let last = ''; // the time of the last line, to go on from
  let partial = '';
  let dropped = 0;

  const output = h('div', { class: 'lines', role: 'log', 'aria-live': 'off', 'aria-label': 'Log', tabindex: '0' });
  const state = h('span', { class: 'hint', role: 'status' });
  const pause = button('Pause', () => setPaused(!paused), { 'aria-pressed': 'false', class: 'button small' });
  const filter = h('input', {
    type: 'search', class: 'input search', placeholder: 'Only lines with …', 'aria-label': 'Only lines with', spellcheck: 'false', autocomplete: 'off',
    on: { input: () => { for (const line of lines) hide(line); stick(true); } },
  });
  const times = h('input', { type: 'checkbox', on: { change: () => output.classList.toggle('timed', times.checked) } });
  const previous = h('input', { type: 'checkbox', on: { change: restart } });
  const element = h('div', { class: 'logs' },
    h('div', { class: 'tools' },
      h('div', { class: 'searchbox' }, filter), pause,
      button('Clear', () => { drop(lines.length); stick(true); }, { class: 'button small' }),
      h('label', { class: 'check' }, times, 'Times'),
      h('label', { class: 'check' }, previous, 'Before the last restart'), h('span', { class: 'gap' }), state),
    output);

  function setPaused(now) {
    paused = now;
    pause.setAttribute('aria-pressed', String(now));
    text(pause, now ? 'Go on' : 'Pause');
    if (!now) schedule();
    say();
  }

  function restart() {
    close();
    drop(lines.length);
    waiting = [];
    last = partial = '';
    connect();
  }

  async function connect() {
    clearTimeout(timer);
    const c = context.live();
    if (c?.simulated || (!previous.checked && c && !runs.has(c.phase))) {
      ended(c.simulated ? 'Its node is simulated: no container runs there, so nothing is written.' : `It is ${c.phase}; what it writes is followed once it runs.`);
      return;
    }
    const query = previous.checked ? { previous: true, tail: asked, timestamps: true } : { follow: true, tail: asked, timestamps: true, since: last || undefined };
    let mine;
    try {
      mine = await context.api.socket(['compute', 'containers', context.id, 'logs'], query, context.signal);
    } catch (err) {
      if (!context.signal.aborted) ended(err.message);
      return;
    }
    if (context.signal.aborted) {
      mine.close();
      return;
    }
    socket = mine;
    let opened = false;
    let why = '';
    socket.onopen = () => { opened = true; say(); };
    socket.onmessage = (event) => {
      if (mine !== socket) return;
      const message = JSON.parse(event.data);
      if (message.type === 'log') take(decode(message));
      else if (message.type === 'error') why = message.problem?.detail ?? '';
    };
    socket.onclose = (event) => {
      if (mine !== socket) return;
      socket = null;
      if (!opened) explain();
      else ended(why || (event.code === 1000 ? previous.checked ? 'The end.' : 'The container has ended.' : 'Connection lost.'));
    };
  }

  // explain asks why a WebSocket was refused: it tells a page nothing.
  async function explain() {
    try {
      await context.api.probe(['compute', 'containers', context.id, 'logs'], { tail: 0, previous: previous.checked }, context.signal);
      ended('Connection lost.');
    } catch (err) {
      if (!context.signal.aborted) ended(err.message);
    }
  }

  function ended(why) {
    say(why);
    if (previous.checked || context.signal.aborted) return;
    timer = setTimeout(connect, retry);
  }

  function take(chunk) {
    const all = (partial + chunk).split('\n');
    partial = all.pop();
    if (partial.length > 65536) all.push(partial), partial = '';
    for (const line of all) {
      const cut = line.indexOf(' ');
      const time = line.slice(0, cut);
      if (last && time <= last) continue; // seen before the connection was lost
      waiting.push({ time, text: line.slice(cut + 1) });
    }
    const newest = waiting.at(-1);
    if (newest) last = newest.time;
    if (waiting.length > kept) dropped += waiting.splice(0, waiting.length - kept).length;
    schedule();
  }

  function schedule() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      if (!paused) show();
      say();
    });
  }

  function show() {
    const atEnd = output.scrollHeight - output.scrollTop - output.clientHeight < 40;
    const batch = document.createDocumentFragment();
    for (const line of waiting) {
      line.element = h('div', { class: 'line' }, h('time', {}, line.time.slice(11, 23)), h('span', {}, plain(line.text)));
      hide(line);
      batch.append(line.element);
      lines.push(line);
    }
    waiting = [];
    output.append(batch);
    if (lines.length > kept) drop(lines.length - kept);
    stick(atEnd);
  }

  function drop(n) {
    for (const line of lines.splice(0, n)) line.element.remove();
  }

  function hide(line) {
    const words = filter.value.toLowerCase();
    line.element.hidden = words !== '' && !line.text.toLowerCase().includes(words);
  }

  function stick(atEnd) {
    if (atEnd) output.scrollTop = output.scrollHeight;
  }

  let why = '';
  function say(words) {
    if (words !== undefined) why = words;
    const waits = paused && waiting.length > 0 ? `${count(waiting.length, 'line')} wait. ` : '';
    const lost = dropped > 0 && paused ? `${dropped} older ones were left out. ` : '';
    text(state, waits + lost + (socket ? paused ? 'Paused.' : `Following, ${count(lines.length, 'line')}.` : why || 'Connecting …'));
  }

  function close() {
    clearTimeout(timer);
    const mine = socket;
    socket = null;
    mine?.close();
  }

  say();
  connect();
  return { element, close };
}

// decode is the text of a message; what isn't UTF-8 shows as it can.
function decode(message) {
  if (message.encoding !== 'base64') return message.text ?? '';
  return new TextDecoder().decode(Uint8Array.from(atob(message.text), (c) => c.charCodeAt(0)));
}

// plain takes out what colours a terminal.
const escapes = /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[\u0000-\u0008\u000b-\u001f\u007f]/g;

export function plain(line) {
  return line.replace(escapes, '');
}
