// How what went wrong is shown.

import { h, icon } from './dom.js';

// problem is an error with all its findings.
export function problem(err, retry) {
  return h('div', { class: 'problem' }, icon('failed'),
    h('div', {},
      h('p', {}, err.message),
      err.errors?.length > 0 && h('ul', {}, err.errors.map((e) => h('li', {}, e.pointer && h('code', {}, e.pointer), e.pointer && ' ', e.message, e.hint && h('span', { class: 'hint' }, ` ${e.hint}`)))),
      retry && h('button', { type: 'button', class: 'button small', on: { click: retry } }, 'Try again')));
}
