// Making and changing elements. Text only ever becomes text: nothing in this
// page parses HTML.

const SVG = 'http://www.w3.org/2000/svg';

// h makes an element: props are attributes, but `on` (listeners by event),
// `style` (properties) and `ref` (called with the element). False, null and
// undefined leave an attribute or a child out.
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === 'style') {
      for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    } else if (name === 'value' || name === 'checked' || name === 'disabled') {
      element[name] = value;
    } else if (name !== 'ref') {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  element.append(...present(children));
  props?.ref?.(element);
  return element;
}

function present(children) {
  return children.flat(Infinity).filter((c) => c !== false && c !== null && c !== undefined && c !== '');
}

// icon draws a shape of the sprite; words beside it say the same.
export function icon(name, className = '') {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', `icon ${className}`.trim());
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

// fill replaces what an element holds.
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

// text changes a text node's owner only where it differs: most frames change nothing.
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

// attr sets or, with false, null and undefined, removes an attribute.
export function attr(element, name, value) {
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

export const byId = (id) => document.getElementById(id);

let ids = 0;

// uid names an element that another one must refer to.
export const uid = (prefix) => `${prefix}-${++ids}`;

// announce has screen readers say a sentence once they are free.
export function announce(sentence) {
  byId('announce').textContent = sentence;
}

// button is one of ours.
export function button(label, onclick, props = {}) {
  const { shape, ...rest } = props;
  return h('button', { type: 'button', class: 'button', on: { click: onclick }, ...rest }, shape && icon(shape), label);
}

// iconButton has a shape only; its name is for those who can't see it.
export function iconButton(shape, label, onclick, props = {}) {
  return h('button', {
    type: 'button', class: 'button quiet square', 'aria-label': label, title: label, on: { click: onclick }, ...props,
  }, icon(shape));
}

// copyable shows a text that one is likely to want elsewhere.
export function copyable(value, label) {
  const said = h('span', { class: 'copied', 'aria-live': 'polite' });
  return h('span', { class: 'copyable' },
    h('code', {}, value),
    h('button', {
      type: 'button', class: 'link', 'aria-label': `Copy ${label}`,
      on: {
        click: async () => {
          try {
            await navigator.clipboard.writeText(value);
            said.textContent = 'copied';
          } catch {
            said.textContent = 'select it to copy';
          }
          setTimeout(() => { said.textContent = ''; }, 2000);
        },
      },
    }, 'copy'),
    said);
}
