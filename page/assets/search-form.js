import { h } from './dom.js';
import { wayOf, waysOf } from './queries.js';
import { WAY_HINTS, WAY_NAMES } from './ways.js';

/** @typedef {import('./context.js').Context} Context */

/** The query, the ways to search and the order. */
export class SearchForm {
  constructor() {
    /** @type {Context | undefined} */
    this.context = undefined;
    this.input = h('input', {
      type: 'search',
      id: 'query',
      autocomplete: 'off',
      spellcheck: false,
      maxLength: 10_000,
      placeholder: 'Ask in plain words',
      'aria-controls': 'results',
      'aria-keyshortcuts': '/',
      oninput: () => this.context?.go({ query: this.input.value, page: 1, doc: undefined }, 'typing'),
    });
    this.ways = h('fieldset', { class: 'ways' });
    this.compare = h('button', {
      type: 'button',
      class: 'toggle',
      onclick: () => this.context?.go({ compare: !this.context.state.compare, page: 1 }),
    });
    this.compare.textContent = 'Compare';
    this.sort = h('select', {
      id: 'sort',
      onchange: () => this.context?.go({ sort: sortOf(this.sort.value), page: 1 }),
    });
    this.sortLabel = h('label', { class: 'sort' }, h('span', { class: 'soft' }, 'Order'), this.sort);
    this.element = h(
      'form',
      { role: 'search', class: 'search-form', onsubmit: (/** @type {Event} */ event) => this.submit(event) },
      h('label', { for: 'query', class: 'hidden-text' }, 'Query'),
      h(
        'div',
        { class: 'query-line' },
        this.input,
        h('kbd', { class: 'key-hint', 'aria-hidden': 'true' }, '/'),
      ),
      h('div', { class: 'controls' }, this.ways, this.compare, this.sortLabel),
    );
  }

  /** Enter goes to the best hit. @param {Event} event */
  submit(event) {
    event.preventDefault();
    /** @type {HTMLElement | null} */ (document.querySelector('.hit a.title'))?.focus();
  }

  /** @param {Context} context */
  show(context) {
    this.context = context;
    const { state, info } = context;
    if (this.input.value !== state.query) this.input.value = state.query;
    this.input.disabled = !info || info.error !== undefined;
    this.showWays(context);
    this.compare.setAttribute('aria-pressed', String(state.compare));
    this.compare.hidden = waysOf(context).length < 2;
    this.showSort(context);
  }

  /** @param {Context} context */
  showWays(context) {
    const ways = waysOf(context);
    const chosen = wayOf(context);
    this.ways.disabled = context.state.compare;
    if (this.ways.dataset.ways !== ways.join()) {
      this.ways.dataset.ways = ways.join();
      this.ways.replaceChildren(
        h('legend', { class: 'hidden-text' }, 'Search by'),
        ...ways.map((way) =>
          h(
            'label',
            { title: WAY_HINTS[way] },
            h('input', {
              type: 'radio',
              name: 'way',
              value: way,
              onchange: () => this.context?.go({ way, page: 1 }),
            }),
            h('span', {}, WAY_NAMES[way]),
          ),
        ),
      );
    }
    for (const input of this.ways.querySelectorAll('input')) input.checked = input.value === chosen;
  }

  /** @param {Context} context */
  showSort({ state, info }) {
    const fields = info?.fields ?? [];
    this.sortLabel.hidden = fields.length === 0;
    const names = fields.map(({ name }) => name);
    if (this.sort.dataset.fields !== JSON.stringify(names)) {
      this.sort.dataset.fields = JSON.stringify(names);
      this.sort.replaceChildren(
        h('option', { value: '' }, 'Best first'),
        ...names.flatMap((name) => [
          h('option', { value: `${name}:asc` }, `${name}, ascending`),
          h('option', { value: `${name}:desc` }, `${name}, descending`),
        ]),
      );
    }
    this.sort.value = state.sort ? `${state.sort.field}:${state.sort.order}` : '';
  }
}

/** @param {string} value of an option */
function sortOf(value) {
  const at = value.lastIndexOf(':');
  if (at < 0) return undefined;
  return { field: value.slice(0, at), order: /** @type {'asc' | 'desc'} */ (value.slice(at + 1)) };
}
