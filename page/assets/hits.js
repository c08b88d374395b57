import { h } from './dom.js';
import { plural, score, shown } from './format.js';
import { whyButton } from './why.js';

/**
 * @typedef {import('./api.js').Hit} Hit
 * @typedef {import('./api.js').SearchResponse} SearchResponse
 * @typedef {import('./context.js').Context} Context
 */

const MAX_CHIPS = 6;

/**
 * A hit of the list.
 *
 * @param {Hit} hit
 * @param {{ rank: number, answer: SearchResponse, context: Context, why: import('./why.js').Why }} options
 */
export function hitItem(hit, { rank, answer, context, why }) {
  const { button, panel } = whyButton(hit, why);
  return h(
    'li',
    { class: 'hit' },
    h(
      'article',
      {},
      h(
        'div',
        { class: 'hit-head' },
        h('span', { class: 'rank', 'aria-hidden': 'true' }, rank),
        h('h3', {}, titleLink(hit, context)),
        hit.relevance !== undefined && relevance(hit.relevance),
      ),
      snippet(hit),
      addedWords(hit, answer.mode),
      h(
        'div',
        { class: 'hit-foot' },
        h('span', { class: 'id' }, hit.id, hit.passage !== undefined && ` · passage ${hit.passage + 1}`),
        ...chips(hit),
        h(
          'span',
          { class: 'score', title: 'Comparable within one answer only' },
          `score ${score(hit.score)}`,
        ),
        button,
      ),
      panel,
    ),
  );
}

/**
 * A hit beside those of other modes.
 *
 * @param {Hit} hit
 * @param {{ rank: number, move: string, answer: SearchResponse, context: Context }} options `move`: its place in the first list
 */
export const shortItem = (hit, { rank, move, answer, context }) =>
  h(
    'li',
    { class: 'hit short' },
    h(
      'article',
      {},
      h(
        'div',
        { class: 'hit-head' },
        h('span', { class: 'rank', 'aria-hidden': 'true' }, rank),
        h('h4', {}, titleLink(hit, context)),
        move && h('span', { class: 'move' }, move),
      ),
      snippet(hit),
      addedWords(hit, answer.mode),
    ),
  );

/** @param {Hit} hit @param {Context} context */
function titleLink(hit, context) {
  const doc = { id: hit.id, passage: hit.passage };
  return h(
    'a',
    {
      class: 'title',
      href: context.href({ doc }),
      onclick: (/** @type {MouseEvent} */ event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        context.go({ doc });
      },
    },
    hit.title || hit.id,
  );
}

/** @param {Hit} hit */
function snippet({ snippet: { parts, cutBefore, cutAfter } }) {
  return h(
    'p',
    { class: 'snippet' },
    cutBefore && '… ',
    ...parts.map(({ text, marked }) => (marked ? h('mark', {}, text) : text)),
    cutAfter && ' …',
  );
}

/**
 * Words that the text lacks. BM25 reads the text alone, so they say nothing about its hits.
 *
 * @param {Hit} hit @param {string} mode
 */
function addedWords({ addedWords: words }, mode) {
  if (words.length === 0 || mode === 'bm25') return undefined;
  return h(
    'p',
    { class: 'added' },
    h('span', { class: 'soft' }, 'Added by the model: '),
    ...words.flatMap((word, i) => [i > 0 ? ' ' : '', h('span', { class: 'added-word' }, word)]),
  );
}

/** @param {Hit} hit */
function chips({ metadata }) {
  const entries = Object.entries(metadata).filter(([, value]) => value !== null && value !== '');
  const more = entries.length - MAX_CHIPS;
  return [
    ...entries
      .slice(0, MAX_CHIPS)
      .map(([name, value]) =>
        h('span', { class: 'chip' }, h('span', { class: 'soft' }, `${name} `), shown(value).slice(0, 60)),
      ),
    more > 0 && h('span', { class: 'soft' }, `and ${plural(more, 'more field')}`),
  ];
}

/** @param {number} value 0..1 */
const relevance = (value) =>
  h(
    'span',
    { class: 'relevance', title: 'How well it answers, judged by the reranker' },
    h('meter', { min: 0, max: 1, value, 'aria-label': 'relevance' }),
    h('span', {}, `relevance ${value < 0.01 ? 'below 0.01' : value.toFixed(2)}`),
  );
