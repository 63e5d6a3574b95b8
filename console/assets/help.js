// What can be done with keys alone.

import { button, h } from './dom.js';

const kept = 'bayplan.keys';

// singleKeys says whether letters alone do something; speech input types them by chance.
export function singleKeys() {
  try {
    return localStorage.getItem(kept) !== 'off';
  } catch {
    return true;
  }
}

function setSingleKeys(on) {
  try {
    localStorage.setItem(kept, on ? 'on' : 'off');
  } catch {
    // They stay on then.
  }
}

const keys = [
  ['/', 'filter the list'],
  ['j k  ↓ ↑', 'next, previous row'],
  ['Page  Home  End', 'further'],
  ['Enter', 'open the container; open or close a heading'],
  ['← →', 'close, open a heading; previous, next tab'],
  ['Esc', 'close what is open'],
  ['1 … 6', 'tabs of the container'],
  ['c', 'create a container'],
  ['s', 'start or stop the open container'],
  ['d', 'delete the open container'],
  ['t', 'show what the sync does'],
  ['Shift Esc', 'leave the terminal'],
  ['?', 'this'],
];

export function showHelp() {
  const dialog = h('dialog', { class: 'dialog narrow', 'aria-labelledby': 'help-title', on: { close: () => dialog.remove() } },
    h('form', { method: 'dialog', class: 'stack', on: { submit: (event) => { event.preventDefault(); dialog.close(); } } },
      h('h2', { class: 'title', id: 'help-title' }, 'Keys'),
      h('dl', { class: 'keys' }, keys.map(([key, what]) => [h('dt', {}, key.split(/\s+/).map((k) => h('kbd', {}, k))), h('dd', {}, what)])),
      h('label', { class: 'check' }, h('input', { type: 'checkbox', checked: singleKeys(), on: { change: (event) => setSingleKeys(event.target.checked) } }), 'Letters alone do something'),
      h('p', { class: 'hint' }, 'The filter takes words, and user: space: name: state: reason: commit: node: before a word. Everything here can be done with ',
        h('code', {}, 'bay'), ' and the ', h('a', { href: '/docs' }, 'API'), ', too.'),
      h('div', { class: 'row end' }, button('Close', null, { type: 'submit', class: 'button' }))));
  document.body.append(dialog);
  dialog.showModal();
}
