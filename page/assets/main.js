import { AddView } from './add-view.js';
import { collections, connect, stats } from './api.js';
import { Connection } from './connection.js';
import { DocumentView } from './document-view.js';
import { h } from './dom.js';
import { askKey } from './key-dialog.js';
import { listenToKeys, showHelp } from './keys.js';
import { errorBox } from './messages.js';
import { SearchView } from './search-view.js';
import { address, parse } from './state.js';
import { StatsView } from './stats-view.js';
import { listenToTheme } from './theme-switch.js';

/** @typedef {import('./state.js').State} State */

const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const picker = /** @type {HTMLSelectElement} */ (document.getElementById('collection'));
const views = { search: new SearchView(), add: new AddView(), stats: new StatsView() };
const documentView = new DocumentView();
const connection = new Connection(() => load());

let state = parse(location.search);
/** @type {import('./api.js').CollectionInfo[]} */
let known = [];
/** @type {Map<string, import('./api.js').CollectionStats>} by collection */
const figures = new Map();
let isTyping = false;

/** @returns {import('./context.js').Context} */
const context = () => ({
  state,
  collections: known,
  info: known.find(({ name, aliases }) => name === state.collection || aliases.includes(state.collection)),
  stats: figures.get(state.collection),
  href: (change) => address({ ...state, ...change }),
  go,
  reload: (change) => load(change),
});

/**
 * Changes what is shown, and the address. Keys that are typed one after another make one step of the history.
 *
 * @param {Partial<State>} change @param {'push' | 'typing'} [how]
 */
function go(change, how = 'push') {
  // What was asked of another collection means nothing in this one.
  const isOther = change.collection !== undefined && change.collection !== state.collection;
  const fresh = isOther
    ? { filters: {}, sort: undefined, page: 1, doc: undefined, way: /** @type {''} */ ('') }
    : {};
  const before = address(state);
  state = { ...state, ...fresh, ...change };
  const next = address(state);
  if (next !== before) {
    if (how === 'typing' && isTyping) history.replaceState(null, '', next);
    else history.pushState(null, '', next);
  }
  isTyping = how === 'typing';
  show(how === 'typing');
  if (isOther) void loadFigures();
}

/** @param {boolean} [typing] */
function show(typing = false) {
  const now = context();
  const view = views[state.view];
  showBar(now);
  if (view.element.parentElement !== main) main.replaceChildren(view.element);
  if (view instanceof SearchView) view.show(now, { typing });
  else view.show(now);
  documentView.show(now);
  const query = state.view === 'search' && state.query ? `${state.query} – ` : '';
  document.title = `${query}Winnow`;
}

/** @param {import('./context.js').Context} now */
function showBar(now) {
  picker.disabled = known.length === 0;
  picker.replaceChildren(
    ...(now.info
      ? []
      : [
          h(
            'option',
            { value: state.collection },
            known.length === 0 ? 'none' : state.collection || 'choose one',
          ),
        ]),
    ...known.map(({ name }) => h('option', { value: name, selected: name === now.info?.name }, name)),
  );
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll('.tabs a'))) {
    const view = /** @type {State['view']} */ (link.dataset.view);
    link.href = now.href({ view, doc: undefined });
    if (view === state.view) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

/** Fetches collections and figures, and shows all anew. @param {Partial<State>} [change] */
async function load(change = {}) {
  try {
    known = await collections();
  } catch (error) {
    main.replaceChildren(errorBox(error, () => load(change)));
    return;
  }
  figures.clear();
  if (Object.keys(change).length > 0) go(change);
  // The first collection is shown where the address names none.
  else if (state.collection === '' && known[0]) {
    state = { ...state, collection: known[0].name };
    history.replaceState(null, '', address(state));
  }
  await loadFigures();
}

/** Figures say which modes and stages there are, so they come before the first search. */
async function loadFigures() {
  const { collection } = state;
  const { info } = context();
  if (info && !info.error && !figures.has(collection)) {
    const found = await stats(collection).catch(() => undefined);
    if (found) figures.set(collection, found);
  }
  show();
}

function listen() {
  addEventListener('popstate', () => {
    const { collection } = state;
    state = parse(location.search);
    if (state.collection === '' && known[0]) state = { ...state, collection: known[0].name };
    isTyping = false;
    show();
    if (state.collection !== collection) void loadFigures();
  });
  picker.addEventListener('change', () => go({ collection: picker.value }));
  document.querySelector('.tabs')?.addEventListener('click', (event) => {
    const { target, ctrlKey, metaKey, shiftKey } = /** @type {MouseEvent} */ (event);
    const view = target instanceof HTMLElement ? target.dataset.view : undefined;
    if (!view || ctrlKey || metaKey || shiftKey) return;
    event.preventDefault();
    go({ view: /** @type {State['view']} */ (view), doc: undefined });
  });
  document.getElementById('help')?.addEventListener('click', showHelp);
  listenToTheme();
  listenToKeys({
    search: () => {
      if (state.view !== 'search') go({ view: 'search' });
      document.getElementById('query')?.focus();
    },
    compare: () => state.view === 'search' && go({ compare: !state.compare, page: 1 }),
  });
}

connect({ askKey, reached: (works) => connection.reached(works) });
listen();
await load();
if (state.view === 'search' && !state.doc) document.getElementById('query')?.focus();
