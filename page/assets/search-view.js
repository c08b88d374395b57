import { compareTable } from './compare-view.js';
import { announce, h } from './dom.js';
import { FilterPanel } from './filters.js';
import { count, plural } from './format.js';
import { hitItem } from './hits.js';
import { emptyBox, errorBox, skeleton } from './messages.js';
import { compare, explainer, find, PAGE_SIZE, wayOf, waysOf } from './queries.js';
import { SearchForm } from './search-form.js';
import { timingLine } from './timing-line.js';
import { WAY_NAMES } from './ways.js';

/** @typedef {import('./context.js').Context} Context */

/** Pauses after the last key before a search is sent, ms. Reranking and comparing cost more. */
const PAUSE = 120;
const LONG_PAUSE = 350;

/** Query, filters and hits. A new search ends the one before, so that no late answer takes the place of a newer one. */
export class SearchView {
  constructor() {
    this.form = new SearchForm();
    this.filters = new FilterPanel();
    this.results = h('div', { class: 'results', id: 'results' });
    this.heading = h('h1', { class: 'hidden-text' });
    this.element = h(
      'div',
      { class: 'search-view' },
      this.heading,
      this.form.element,
      h('div', { class: 'columns' }, this.filters.element, this.results),
    );
    this.asked = '';
    this.running = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** @param {Context} context @param {{ typing?: boolean, again?: boolean }} [how] `again`: ask although nothing changed */
  show(context, { typing = false, again = false } = {}) {
    this.form.show(context);
    this.heading.textContent = `Search ${context.info?.name ?? ''}`;
    const { doc: _doc, view: _view, ...asked } = context.state;
    const fields = context.info?.fields;
    const signature = JSON.stringify([asked, fields, waysOf(context), context.info?.documents]);
    if (signature === this.asked && !again) return;
    this.asked = signature;
    this.running.abort();
    clearTimeout(this.timer);
    if (!context.info || context.state.query.trim() === '') return this.showStart(context);
    if (!typing) return void this.run(context);
    const isSlow = context.state.compare || wayOf(context) === 'rerank';
    this.timer = setTimeout(() => this.run(context), isSlow ? LONG_PAUSE : PAUSE);
  }

  /** @param {Context} context */
  async run(context) {
    const running = new AbortController();
    this.running = running;
    this.results.setAttribute('aria-busy', 'true');
    if (!this.results.querySelector('.hit')) this.results.replaceChildren(skeleton());
    try {
      if (context.state.compare) await this.runCompare(context, running.signal);
      else await this.runSearch(context, running.signal);
    } catch (error) {
      if (running.signal.aborted) return;
      this.asked = ''; // the next look at it asks again
      this.showFilters(context, this.filters.facets);
      this.results.replaceChildren(errorBox(error, () => this.show(context, { again: true })));
    }
    if (!running.signal.aborted) this.results.removeAttribute('aria-busy');
  }

  /** @param {Context} context @param {AbortSignal} signal */
  async runSearch(context, signal) {
    const found = await find(context, signal);
    if (signal.aborted) return;
    const { answer, facets, hasMore } = found;
    this.showFilters(context, facets);
    if (answer.hits.length === 0) return this.showNothing(context, answer);
    const first = (context.state.page - 1) * PAGE_SIZE;
    const why = explainer(context);
    const summary = `${hasMore || first > 0 ? `Hits ${first + 1} to ${first + answer.hits.length}` : plural(answer.hits.length, 'hit')}`;
    this.results.replaceChildren(
      h('div', { class: 'summary' }, h('h2', { id: 'hits-title' }, summary), timingLine(answer)),
      ...notices(answer),
      h(
        'ol',
        { class: 'hits', start: first + 1, 'aria-labelledby': 'hits-title' },
        ...answer.hits.map((hit, i) => hitItem(hit, { rank: first + i + 1, answer, context, why })),
      ),
      pages(context, hasMore),
    );
    announce(`${summary} for ${context.state.query}, ${WAY_NAMES[wayOf(context)]}`);
  }

  /** @param {Context} context @param {AbortSignal} signal */
  async runCompare(context, signal) {
    const { columns, facets } = await compare(context, signal);
    if (signal.aborted) return;
    this.showFilters(context, facets);
    this.results.replaceChildren(
      h('div', { class: 'summary' }, h('h2', {}, 'Side by side')),
      compareTable(context, columns),
    );
    announce(`${columns.length} modes compared for ${context.state.query}`);
  }

  /** @param {Context} context @param {import('./filters.js').Facets} facets */
  showFilters(context, facets) {
    this.filters.show(context, facets);
    this.element.classList.toggle('with-filters', (context.info?.fields.length ?? 0) > 0);
  }

  /** @param {Context} context */
  showStart(context) {
    this.filters.element.hidden = true;
    this.element.classList.remove('with-filters');
    this.results.removeAttribute('aria-busy');
    announce('');
    this.results.replaceChildren(start(context));
  }

  /** @param {Context} context @param {import('./api.js').SearchResponse} answer */
  showNothing(context, answer) {
    const { state } = context;
    const isFiltered = Object.keys(state.filters).length > 0;
    this.results.replaceChildren(
      ...notices(answer),
      emptyBox(
        state.page > 1 ? 'No more hits' : 'Nothing found',
        h(
          'p',
          {},
          state.page > 1 ? 'The hits end before this page.' : `No document answers “${state.query}”.`,
        ),
        h(
          'p',
          { class: 'actions' },
          state.page > 1 && action('To the first page', () => context.go({ page: 1 })),
          isFiltered && action('Clear the filters', () => context.go({ filters: {}, page: 1 })),
          answer.mode === 'bm25' &&
            waysOf(context).includes('sparse') &&
            action('Search by meaning (sparse)', () => context.go({ way: 'sparse', page: 1 })),
        ),
      ),
    );
    announce('Nothing found');
  }
}

/** @param {string} text @param {() => void} onclick */
const action = (text, onclick) => h('button', { type: 'button', onclick }, text);

/** @param {import('./api.js').SearchResponse} answer */
const notices = ({ notices: given = [], complete }) =>
  [
    ...given.map(({ message }) => message),
    ...(complete ? [] : ['The search ended at its time limit: there may be better hits.']),
  ].map((message) => h('p', { class: 'notice' }, message));

/** @param {Context} context */
function start(context) {
  const { info, collections } = context;
  if (collections.length === 0)
    return emptyBox(
      'No collections yet',
      h('p', {}, 'A collection holds the documents that are searched together.'),
      h(
        'p',
        { class: 'actions' },
        action('Create the first collection', () => context.go({ view: 'add' })),
      ),
    );
  if (!info)
    return emptyBox(
      'No such collection',
      h('p', {}, `“${context.state.collection}” does not exist. Choose another one above.`),
    );
  if (info.error)
    return emptyBox(
      'This collection cannot be used',
      h('p', {}, info.error.message),
      info.error.hint && h('p', {}, info.error.hint),
    );
  if (info.sources === 0)
    return emptyBox(
      'This collection is empty',
      h('p', {}, 'Add files or paste a text, and search it at once.'),
      h(
        'p',
        { class: 'actions' },
        action('Add documents', () => context.go({ view: 'add' })),
      ),
    );
  return emptyBox(
    `Search ${count(info.sources)} ${info.sources === 1 ? 'document' : 'documents'}`,
    info.settings.description && h('p', {}, info.settings.description),
    h(
      'p',
      { class: 'soft' },
      'Type a question in plain words. “Quotes” search a phrase, a dash leaves a word out.',
    ),
    h(
      'p',
      { class: 'soft small only-keys' },
      h('kbd', {}, '/'),
      ' types, ',
      h('kbd', {}, '↓'),
      ' moves to the hits, ',
      h('kbd', {}, '?'),
      ' shows all keys',
    ),
  );
}

/** @param {Context} context @param {boolean} hasMore */
function pages(context, hasMore) {
  const { page } = context.state;
  if (page === 1 && !hasMore) return '';
  const to = (/** @type {number} */ next) => () => {
    context.go({ page: next });
    scrollTo({ top: 0 });
  };
  return h(
    'nav',
    { class: 'pages', 'aria-label': 'Pages' },
    h('button', { type: 'button', disabled: page === 1, onclick: to(page - 1) }, 'Previous'),
    h('span', { 'aria-current': 'page' }, `Page ${page}`),
    h('button', { type: 'button', disabled: !hasMore, onclick: to(page + 1) }, 'Next'),
  );
}
