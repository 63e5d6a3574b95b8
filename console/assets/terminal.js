// A terminal in a container: xterm.js over the exec WebSocket.

import { announce, button, fill, h, text } from './dom.js';
import { problem } from './problem.js';
import { split } from './words.js';

const encoder = new TextEncoder();
const [input, output, errors] = [0, 1, 2];
// The address says nothing of the command: it goes as the first message.
const shells = ['sh', 'bash', 'ash'];

export function terminalTab(context) {
  if (!context.actions.allowed) {
    return { element: h('p', { class: 'note' }, 'A terminal needs the right to write.') };
  }
  const screen = h('div', { class: 'screen' });
  const state = h('span', { class: 'hint', role: 'status' });
  const wrong = h('div', { role: 'alert' });
  const command = h('input', { class: 'input', value: 'sh', 'aria-label': 'Command', list: 'shells', spellcheck: 'false', autocomplete: 'off' });
  const go = button('Run', null, { type: 'submit', class: 'button small' });
  const element = h('div', { class: 'terminal-tab' },
    h('form', { class: 'tools', on: { submit: (event) => { event.preventDefault(); connect(); } } },
      command, h('datalist', { id: 'shells' }, shells.map((value) => h('option', { value }))), go,
      h('span', { class: 'gap' }), state),
    wrong, screen,
    h('p', { class: 'hint' }, h('kbd', {}, 'Shift'), ' ', h('kbd', {}, 'Esc'), ' leaves the terminal.'));
  let terminal = null;
  let fit = null;
  let socket = null;
  let resizing = null;
  let closed = false;

  async function begin() {
    const [{ Terminal }, { FitAddon }] = await Promise.all([import('./vendor/xterm.mjs'), import('./vendor/addon-fit.mjs')]);
    if (closed) return;
    const style = getComputedStyle(document.documentElement);
    terminal = new Terminal({
      fontFamily: style.getPropertyValue('--mono'), fontSize: 13, cursorBlink: false, scrollback: 5000, theme: theme(style),
      screenReaderMode: true,
    });
    terminal.loadAddon(fit = new FitAddon());
    openWithoutStyleElements(terminal, screen);
    terminal.textarea.setAttribute('aria-label', `Terminal in ${context.id}. Shift Escape leaves it.`);
    terminal.attachCustomKeyEventHandler((event) => {
      if (event.key !== 'Escape' || !event.shiftKey) return true;
      if (event.type === 'keydown') command.focus();
      return false;
    });
    terminal.onData((data) => send(data));
    terminal.onBinary((data) => sendBytes(Uint8Array.from(data, (c) => c.charCodeAt(0))));
    terminal.onResize(({ cols, rows }) => say({ type: 'resize', cols, rows }));
    resizing = new ResizeObserver(() => fit.fit());
    resizing.observe(screen);
    fit.fit();
    connect();
  }

  async function connect() {
    if (!terminal) return;
    drop();
    fill(wrong);
    const words = split(command.value);
    if (words.length === 0) return;
    if (context.live()?.simulated) {
      text(state, 'Its node is simulated: no container runs there.');
      return;
    }
    text(state, 'Connecting …');
    let mine;
    try {
      mine = await context.api.socket(['compute', 'containers', context.id, 'exec'], {}, context.signal);
    } catch (err) {
      if (!closed) fill(wrong, problem(err, connect));
      return;
    }
    if (closed) {
      mine.close();
      return;
    }
    socket = mine;
    socket.binaryType = 'arraybuffer';
    let opened = false;
    let said = '';
    socket.onopen = () => {
      opened = true;
      terminal.reset();
      say({ type: 'start', command: words, tty: true, stdin: true, cols: terminal.cols, rows: terminal.rows });
      text(state, 'Connected.');
      text(go, 'Run again');
      terminal.focus();
    };
    socket.onmessage = (event) => {
      if (mine !== socket) return;
      if (typeof event.data !== 'string') receive(new Uint8Array(event.data));
      else said = tell(JSON.parse(event.data)) || said;
    };
    socket.onclose = () => {
      if (mine !== socket) return;
      socket = null;
      if (!opened) explain();
      else over(said || 'Connection lost.');
    };
  }

  function receive(bytes) {
    if (bytes[0] === output || bytes[0] === errors) terminal.write(bytes.subarray(1));
  }

  // tell reads how it ended.
  function tell(message) {
    if (message.type === 'exit') return message.signal ? `Ended by the signal ${message.signal}.` : `Ended with the exit code ${message.code}.`;
    if (message.type === 'error') return message.problem?.detail ?? 'Ended by an error.';
    return '';
  }

  function over(words) {
    text(state, words);
    announce(words);
    terminal.write(`\r\n\u001b[2m${words} Press Enter to run it again.\u001b[0m\r\n`);
  }

  // explain asks why a WebSocket was refused: it tells a page nothing.
  async function explain() {
    text(state, 'Not connected.');
    try {
      await context.api.probe(['compute', 'containers', context.id, 'exec'], {}, context.signal);
    } catch (err) {
      if (closed) return;
      if (err.status === 426) err.message = 'The terminal could not be opened. Is something between here and the server that keeps WebSockets out?';
      fill(wrong, problem(err, connect));
    }
  }

  function send(data) {
    if (socket) sendBytes(encoder.encode(data));
    else if (data === '\r') connect();
  }

  function sendBytes(bytes) {
    if (socket?.readyState !== WebSocket.OPEN) return;
    const message = new Uint8Array(bytes.length + 1);
    message[0] = input;
    message.set(bytes, 1);
    socket.send(message);
  }

  function say(message) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  }

  function drop() {
    const mine = socket;
    socket = null;
    mine?.close();
  }

  begin().catch((err) => fill(wrong, problem(err)));
  return {
    element,
    close() {
      closed = true;
      drop();
      resizing?.disconnect();
      terminal?.dispose();
    },
  };
}

function theme(style) {
  const of = (name) => style.getPropertyValue(name).trim();
  return { background: of('--term-bg'), foreground: of('--term-fg'), cursor: of('--term-fg'), selectionBackground: of('--term-select') };
}

// openWithoutStyleElements keeps xterm.js from adding <style> elements, which the
// page's Content-Security-Policy refuses: it gets elements whose text becomes a
// style sheet that scripts may make.
function openWithoutStyleElements(terminal, screen) {
  const real = Document.prototype.createElement;
  document.createElement = function create(name, options) {
    return name === 'style' ? styleStandIn() : real.call(document, name, options);
  };
  try {
    terminal.open(screen);
  } finally {
    delete document.createElement;
  }
}

function styleStandIn() {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  const element = h('span', { hidden: true });
  Object.defineProperty(element, 'textContent', { set: (css) => sheet.replaceSync(css), get: () => '' });
  element.remove = () => {
    Element.prototype.remove.call(element);
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((s) => s !== sheet);
  };
  return element;
}
