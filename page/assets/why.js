import { bar, h } from './dom.js';
import { plural, score } from './format.js';
import { errorBox } from './messages.js';

/**
 * @typedef {import('./api.js').Hit} Hit
 * @typedef {import('./api.js').Explanation} Explanation
 * @typedef {{ label: string, value: number, share: number, kind: string, note: string }} Row
 * @typedef {{ hit: Hit, page: readonly Hit[], mode: string, words: Explanation | undefined }} Explained `page`: the hits beside it
 * @typedef {(hit: Hit) => Promise<Explained>} Why
 */

/**
 * The button that opens why a hit has its place, and what it opens.
 *
 * @param {Hit} hit
 * @param {Why} why asked when it is opened
 */
export function whyButton(hit, why) {
  const id = `why-${crypto.randomUUID?.() ?? Math.random().toString(36).slice(2)}`;
  const panel = h('div', { id, class: 'why', hidden: true });
  const load = async () => {
    panel.replaceChildren(h('p', { class: 'soft' }, 'Reading the score…'));
    try {
      panel.replaceChildren(...content(await why(hit)));
    } catch (error) {
      if (/** @type {Error} */ (error).name !== 'AbortError') panel.replaceChildren(errorBox(error, load));
    }
  };
  const button = h(
    'button',
    {
      type: 'button',
      class: 'quiet why-button',
      'aria-expanded': 'false',
      'aria-controls': id,
      onclick: () => {
        panel.hidden = !panel.hidden;
        button.setAttribute('aria-expanded', String(!panel.hidden));
        if (!panel.hidden && panel.childElementCount === 0) load();
      },
    },
    'Why',
  );
  return { button, panel };
}

/** @param {Explained} explained */
function content(explained) {
  const { hit, mode, words } = explained;
  const rows = words ? wordRows(words) : tokenRows(hit);
  const stages = stageRows(explained);
  return [
    stages.length > 0 && table('Score of each stage', stages),
    rows.length > 0 && table(words ? 'Score by word (BM25)' : 'Score by token', rows),
    !words && legend(rows),
    note(mode),
    (hit.omittedTokens ?? 0) > 0 &&
      h('p', { class: 'small soft' }, `and ${plural(hit.omittedTokens ?? 0, 'more token')} that it lacks`),
  ].filter((one) => one instanceof Node);
}

/** @param {string} mode */
function note(mode) {
  if (mode !== 'hybrid') return undefined;
  const text = 'Hybrid joins the learned weights with BM25. The tokens are those of the learned weights.';
  return h('p', { class: 'small soft' }, text);
}

/** @param {Hit} hit @returns {Row[]} */
function tokenRows({ explanation = [] }) {
  const most = Math.max(...explanation.map(({ contribution }) => contribution), 1e-9);
  const heaviest = Math.max(...explanation.map(({ queryWeight }) => queryWeight), 1e-9);
  return explanation.map(({ token, word, contribution, queryWeight, weight, origin }) => ({
    label: token === word ? token : `${token} (of ${word})`,
    value: contribution,
    // What is missing has no contribution: its bar is how much the query wanted it.
    share: origin === 'missing' ? queryWeight / heaviest : contribution / most,
    kind: origin,
    note:
      origin === 'missing'
        ? 'missing'
        : `${origin === 'added' ? 'added' : 'own word'}, ${score(queryWeight)} × ${score(weight)}`,
  }));
}

/** @param {Explanation} explanation @returns {Row[]} */
function wordRows({ words = [] }) {
  const most = Math.max(...words.map(({ contribution }) => contribution), 1e-9);
  return words.map(({ word, contribution, frequency, idf }) => ({
    label: word,
    value: contribution,
    share: contribution / most,
    kind: frequency > 0 ? 'text' : 'missing',
    note: frequency > 0 ? `occurs ${plural(frequency, 'time')}, idf ${score(idf)}` : 'missing',
  }));
}

/**
 * The stages that scored it, in their order. Scores without a scale of their own are drawn beside those of the page.
 *
 * @param {Explained} explained @returns {Row[]}
 */
function stageRows({ hit, page, mode }) {
  const { retrieval = hit.score, vector, cross, early } = hit.stages ?? {};
  const most = Math.max(...page.map(({ stages, score: own }) => stages?.retrieval ?? own), 1e-9);
  const logits = page.flatMap(({ stages }) => stages?.cross ?? stages?.early ?? []);
  const [least, best] = [Math.min(...logits), Math.max(...logits)];
  const logit = cross ?? early;
  /** @param {string} label @param {number} value @param {number} share @param {string} note @returns {Row} */
  const row = (label, value, share, note) => ({ label, value, share, kind: 'stage', note });
  const first = mode === 'sparse' ? 'Sparse' : mode === 'bm25' ? 'BM25' : 'Hybrid';
  return [
    row(first, retrieval, retrieval / most, 'bar: beside the best hit here'),
    ...(vector === undefined ? [] : [row('Vector', vector, vector, 'cosine with the query')]),
    ...(logit === undefined
      ? []
      : [
          row(
            cross === undefined ? 'Cross-encoder, first layers' : 'Cross-encoder',
            logit,
            best > least ? (logit - least) / (best - least) : 1,
            `${cross === undefined ? 'estimate of the ' : ''}logit; bar: from the worst to the best hit here`,
          ),
        ]),
  ];
}

/** @param {string} caption @param {readonly Row[]} rows */
const table = (caption, rows) =>
  h(
    'table',
    { class: 'bars' },
    h('caption', {}, caption),
    h(
      'thead',
      { class: 'hidden-text' },
      h('tr', {}, ...['Name', 'Bar', 'Score', 'How'].map((name) => h('th', { scope: 'col' }, name))),
    ),
    h(
      'tbody',
      {},
      ...rows.map(({ label, value, share, kind, note: how }) =>
        h(
          'tr',
          { 'data-kind': kind },
          h('th', { scope: 'row' }, label),
          h('td', { class: 'bar-cell' }, bar(share, kind)),
          h('td', { class: 'number' }, kind === 'missing' ? '–' : score(value)),
          h('td', { class: 'small soft' }, how),
        ),
      ),
    ),
  );

const KINDS = /** @type {const} */ ({
  text: 'own word of the document',
  added: 'added by the model',
  missing: 'the document lacks it (length: how much the query wants it)',
});

/** @param {readonly Row[]} rows */
function legend(rows) {
  const used = Object.entries(KINDS).filter(([kind]) => rows.some((row) => row.kind === kind));
  return h(
    'p',
    { class: 'legend small soft' },
    ...used.map(([kind, text]) => h('span', {}, h('span', { class: `swatch ${kind}` }), text)),
  );
}
