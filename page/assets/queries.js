import { ApiError, call, collectionPath, search } from './api.js';
import { isListed } from './filters.js';
import { filterOf, isEmpty, WAYS } from './state.js';
import { record } from './timings.js';

/**
 * @typedef {import('./context.js').Context} Context
 * @typedef {import('./state.js').Way} Way
 * @typedef {import('./api.js').Search} Search
 * @typedef {import('./api.js').SearchResponse} SearchResponse
 * @typedef {{ answer: SearchResponse, facets: import('./filters.js').Facets, hasMore: boolean }} Found
 */

export const PAGE_SIZE = 10;
const COMPARED = 10;
/** A request may name this many facets, and hold this many searches. */
const MAX_FACETS = 32;
const MAX_SEARCHES = 32;

/** @param {Context} context @returns {Way[]} the ways to search that the collection has */
export function waysOf({ stats, info }) {
  if (!stats) return info?.model === null ? ['bm25'] : ['sparse', 'bm25', 'hybrid'];
  return WAYS.filter((way) => (way === 'rerank' ? stats.stages.length > 0 : stats.modes.includes(way)));
}

/** @param {Context} context @returns {Way} the way that is asked for, or the collection's own */
export function wayOf(context) {
  const ways = waysOf(context);
  const { way } = context.state;
  if (way && ways.includes(way)) return way;
  return context.info?.settings.defaultMode ?? ways[0] ?? 'bm25';
}

/** @param {Context} context @param {Way} way @returns {Search} without paging */
function searchOf({ state, info }, way) {
  const filter = filterOf(state.filters, info?.fields ?? []);
  const { sort } = state;
  const isDeclared = info?.fields.some(({ name }) => name === sort?.field);
  return {
    collection: state.collection,
    query: state.query,
    groupByParent: true,
    ...(way === 'rerank' ? { rerank: true } : { mode: way }),
    ...(filter ? { filter: /** @type {NonNullable<Search['filter']>} */ (filter) } : {}),
    ...(sort && isDeclared ? { sort } : {}),
  };
}

/**
 * What is counted for the filters. The values of a field that is filtered are counted without its own filter, so that others can be added;
 * each such field needs a search of its own.
 *
 * @param {Context} context @param {Way} way
 * @returns {{ facets: string[], others: Search[] }}
 */
function counted(context, way) {
  const { state, info } = context;
  const listed = (info?.fields ?? []).filter(({ type }) => isListed(type)).map(({ name }) => name);
  const filtered = listed
    .filter((name) => state.filters[name] && !isEmpty(state.filters[name]))
    .slice(0, MAX_SEARCHES - WAYS.length);
  const { rerank: _rerank, filter: _filter, sort: _sort, ...base } = searchOf(context, way);
  const others = filtered.map((name) => {
    const filter = filterOf(state.filters, info?.fields ?? [], name);
    return { ...base, k: 1, highlight: false, facets: [name], ...(filter ? { filter } : {}) };
  });
  return {
    facets: listed.filter((name) => !filtered.includes(name)).slice(0, MAX_FACETS),
    others: /** @type {Search[]} */ (others),
  };
}

/** @param {(SearchResponse | ApiError | undefined)[]} results @returns {import('./filters.js').Facets} */
const facetsOf = (results) =>
  Object.assign({}, ...results.flatMap((one) => (!one || one instanceof ApiError ? [] : [one.facets ?? {}])));

/**
 * One page of hits with facets.
 *
 * @param {Context} context @param {AbortSignal} signal @returns {Promise<Found>}
 * @throws {ApiError}
 */
export async function find(context, signal) {
  const { state } = context;
  const way = wayOf(context);
  const { facets, others } = counted(context, way);
  const page = {
    ...searchOf(context, way),
    // One more than a page shows: whether there is a next page.
    k: PAGE_SIZE + 1,
    offset: (state.page - 1) * PAGE_SIZE,
    ...(facets.length > 0 ? { facets } : {}),
  };
  const results = await search([page, ...others], signal);
  const [first] = results;
  if (first === undefined || first instanceof ApiError) throw first;
  record(way, first);
  return {
    answer: { ...first, hits: first.hits.slice(0, PAGE_SIZE) },
    facets: facetsOf(results),
    hasMore: first.hits.length > PAGE_SIZE,
  };
}

/**
 * The best hits of every way that the collection has.
 *
 * @param {Context} context @param {AbortSignal} signal
 * @returns {Promise<{ columns: { way: Way, result: SearchResponse | ApiError }[], facets: import('./filters.js').Facets }>}
 */
export async function compare(context, signal) {
  const ways = waysOf(context);
  const { facets, others } = counted(context, ways[0] ?? 'bm25');
  const searches = ways.map((way, i) => ({
    ...searchOf(context, way),
    k: COMPARED,
    ...(i === 0 && facets.length > 0 ? { facets } : {}),
  }));
  const results = await search([...searches, ...others], signal);
  const columns = ways.map((way, i) => {
    const result = /** @type {SearchResponse | ApiError} */ (results[i]);
    if (!(result instanceof ApiError)) record(way, result);
    return { way, result };
  });
  return { columns, facets: facetsOf(results) };
}

/**
 * Why the hits of a page have their scores; they are asked for once, when the first one is opened.
 *
 * @param {Context} context that of the search
 * @returns {import('./why.js').Why}
 */
export function explainer(context) {
  const way = wayOf(context);
  const { page, collection, query } = context.state;
  const explained = async () => {
    const paging = { k: PAGE_SIZE, offset: (page - 1) * PAGE_SIZE, explain: true };
    const [answer] = await search([{ ...searchOf(context, way), ...paging }], AbortSignal.timeout(30_000));
    if (answer === undefined || answer instanceof ApiError) throw answer;
    return answer;
  };
  /** @type {Promise<SearchResponse> | undefined} */
  let asked;
  return async (hit) => {
    asked ??= explained();
    const answer = await asked.catch((error) => {
      asked = undefined; // the next try asks again
      throw error;
    });
    const found = answer.hits.find(({ id, passage }) => id === hit.id && passage === hit.passage) ?? hit;
    const passage = hit.passage === undefined ? {} : { passage: hit.passage };
    // BM25 ranks by counts of words and not by weights of tokens.
    const { mode } = answer;
    const words =
      mode === 'bm25'
        ? await call('POST', collectionPath(collection, '/explain'), { query, id: hit.id, mode, ...passage })
        : undefined;
    return { hit: found, page: answer.hits, mode: answer.mode, words };
  };
}
