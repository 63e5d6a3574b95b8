// A list of rows of which only those in sight exist. It knows nothing of
// containers: who uses it draws the rows. Rows have one of two heights, which the
// style decides: --row, and --heading for those that are headings.

import { attr, h } from './dom.js';

// beyond is how many rows more than those in sight exist.
const beyond = 12;

export class Grid {
  element;
  active = -1;
  #options;
  #body;
  #rows = [];
  #drawn = new Map();
  #height = 36;
  #headingHeight = 36;
  // tops are where rows begin; the last is where the list ends.
  #tops = [0];
  #scheduled = false;

  // options: label, columns (header elements), key(row), heading(row) → boolean,
  // draw(row) → element, update(element, row), open(row), toggle(row, open).
  constructor(options) {
    this.#options = options;
    this.#body = h('div', { role: 'rowgroup', class: 'grid-body' });
    this.element = h('div', {
      role: 'treegrid', class: 'grid', tabindex: '0', 'aria-label': options.label, 'aria-readonly': 'true',
      on: {
        scroll: () => this.#later(),
        keydown: (event) => this.#key(event),
        click: (event) => this.#click(event),
        focus: () => { if (this.active < 0 && this.#rows.length > 0) this.activate(this.#first(0, 1)); },
      },
    }, h('div', { role: 'rowgroup', class: 'grid-head' }, h('div', { role: 'row', 'aria-rowindex': '1', class: 'grid-row head' }, options.columns)), this.#body);
    new ResizeObserver(() => this.measure()).observe(this.element);
  }

  // measure reads the heights.
  measure() {
    const style = getComputedStyle(this.element);
    const [row, heading] = ['--row', '--heading'].map((name) => Number.parseFloat(style.getPropertyValue(name)) || 36);
    if (row !== this.#height || heading !== this.#headingHeight) {
      this.#height = row;
      this.#headingHeight = heading;
      this.#stack();
    }
    this.#draw(true);
  }

  #stack() {
    let top = 0;
    this.#tops = this.#rows.map((row) => {
      const at = top;
      top += this.#options.heading(row) ? this.#headingHeight : this.#height;
      return at;
    });
    this.#tops.push(top);
  }

  // at is the row that a height lies in.
  #at(height) {
    let [low, high] = [0, this.#rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#tops[middle + 1] <= height) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // show takes other rows; the active one stays the active one if it is still there.
  show(rows) {
    const before = this.#rows[this.active];
    this.#rows = rows;
    this.#stack();
    if (before) {
      const key = this.#options.key(before);
      const at = rows.findIndex((r) => this.#options.key(r) === key);
      this.active = at >= 0 ? at : Math.min(this.active, rows.length - 1);
    }
    this.#draw(true);
  }

  // refresh redraws the rows in sight that hold one of the keys.
  refresh(keys) {
    for (const [key, { element, row }] of this.#drawn) {
      if (!keys || keys.has(key)) this.#options.update(element, row);
    }
  }

  get row() { return this.#rows[this.active]; }

  // activate moves to a row and into sight.
  activate(index) {
    if (index < 0 || index >= this.#rows.length) return;
    this.active = index;
    const head = this.element.firstElementChild.offsetHeight;
    const [top, bottom] = [this.#tops[index], this.#tops[index + 1]];
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (bottom > scrollTop + clientHeight - head) this.element.scrollTop = bottom - clientHeight + head;
    this.#draw(false);
  }

  // find moves to the row with the key; false when there is none.
  find(key) {
    const at = this.#rows.findIndex((r) => this.#options.key(r) === key);
    if (at >= 0) this.activate(at);
    return at >= 0;
  }

  // first is the next row from an index on, headings included.
  #first(index) {
    return Math.max(0, Math.min(this.#rows.length - 1, index));
  }

  #later() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw(false);
    });
  }

  #draw(all) {
    const { scrollTop, clientHeight } = this.element;
    const from = Math.max(0, this.#at(scrollTop) - beyond);
    const to = Math.min(this.#rows.length, this.#at(scrollTop + clientHeight) + 1 + beyond);
    this.#body.style.height = `${this.#tops.at(-1)}px`;
    attr(this.element, 'aria-rowcount', this.#rows.length + 1);
    const old = this.#drawn;
    const wanted = this.#rows.slice(from, to).map((row) => [this.#options.key(row), row]);
    this.#drawn = new Map(wanted);
    for (const [key, { element }] of old) {
      if (!this.#drawn.has(key)) element.remove();
    }
    // In the order of the list, so that what is read aloud is in order, too.
    let next = this.#body.firstChild;
    wanted.forEach(([key, row], i) => {
      const had = old.get(key);
      const element = had?.element ?? this.#options.draw(row);
      if (all || !had) this.#options.update(element, row);
      this.#place(element, from + i);
      if (element === next) next = next.nextSibling;
      else this.#body.insertBefore(element, next);
      this.#drawn.set(key, { element, row });
    });
    attr(this.element, 'aria-activedescendant', this.#drawnAt(this.active)?.id);
  }

  #place(element, index) {
    element.style.transform = `translateY(${this.#tops[index]}px)`;
    element.dataset.index = index;
    if (!element.id) element.id = `row-${this.#options.label.toLowerCase()}-${++drawn}`;
    attr(element, 'aria-rowindex', index + 2);
    element.classList.toggle('active', index === this.active);
  }

  #drawnAt(index) {
    const row = this.#rows[index];
    return row && this.#drawn.get(this.#options.key(row))?.element;
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.#height) - 2);
    const row = this.row;
    const moves = {
      ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -this.#rows.length, End: this.#rows.length,
    };
    if (event.key in moves) this.activate(this.#first(this.active < 0 ? 0 : this.active + moves[event.key]));
    else if (event.key === 'Enter' && row) this.#options.open(row);
    else if (event.key === 'ArrowLeft' && row) this.#options.toggle(row, false);
    else if (event.key === 'ArrowRight' && row) this.#options.toggle(row, true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #click(event) {
    const element = event.target.closest('[data-index]');
    if (!element || String(getSelection()).length > 0) return;
    this.activate(Number(element.dataset.index));
    this.#options.open(this.row);
  }
}

let drawn = 0;
