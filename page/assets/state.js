/**
 * What the page shows, all of it in the address: a link or the back button brings it back.
 *
 * @typedef {'search' | 'add' | 'stats'} View
 * @typedef {'sparse' | 'bm25' | 'hybrid' | 'rerank'} Way
 * @typedef {{ values?: (string | boolean)[], from?: string, to?: string }} FieldFilter
 * @typedef {{
 *   view: View, collection: string, query: string, way: Way | '', compare: boolean,
 *   filters: Record<string, FieldFilter>, sort: { field: string, order: 'asc' | 'desc' } | undefined,
 *   page: number, doc: { id: string, passage: number | undefined } | undefined,
 * }} State
 */

/** @type {readonly Way[]} */
export const WAYS = ['sparse', 'bm25', 'hybrid', 'rerank'];

/** @param {string} search the query string of an address @returns {State} */
export function parse(search) {
  const given = new URLSearchParams(search);
  const view = given.get('view');
  const way = /** @type {Way} */ (given.get('mode') ?? '');
  const [field, order] = (given.get('sort') ?? '').split(/:(?=asc$|desc$)/);
  const id = given.get('doc');
  const passage = given.get('passage');
  return {
    view: view === 'add' || view === 'stats' ? view : 'search',
    collection: given.get('c') ?? '',
    query: given.get('q') ?? '',
    way: WAYS.includes(way) ? way : '',
    compare: given.has('compare'),
    filters: parseFilters(given.get('f')),
    sort: field && (order === 'asc' || order === 'desc') ? { field, order } : undefined,
    page: Math.max(1, Math.min(1000, Number.parseInt(given.get('page') ?? '1', 10) || 1)),
    doc: id ? { id, passage: passage && /^\d{1,9}$/.test(passage) ? Number(passage) : undefined } : undefined,
  };
}

/** @param {string | null} text @returns {Record<string, FieldFilter>} what is no filter is left out */
function parseFilters(text) {
  try {
    const given = JSON.parse(text ?? '{}');
    return Object.fromEntries(
      Object.entries(given).filter(([, one]) => typeof one === 'object' && one !== null && !isEmpty(one)),
    );
  } catch {
    return {};
  }
}

/** @param {FieldFilter} filter */
export const isEmpty = ({ values, from, to }) =>
  !(Array.isArray(values) && values.length > 0) && !from && !to;

/** @param {State} state @returns {string} the address of a state */
export function address(state) {
  const { view, collection, query, way, compare, filters, sort, page, doc } = state;
  const named = Object.entries(filters).filter(([, one]) => !isEmpty(one));
  const values = {
    view: view === 'search' ? '' : view,
    c: collection,
    q: query,
    mode: way,
    f: named.length > 0 ? JSON.stringify(Object.fromEntries(named)) : '',
    sort: sort ? `${sort.field}:${sort.order}` : '',
    page: page > 1 ? String(page) : '',
    doc: doc?.id ?? '',
    passage: doc?.passage === undefined ? '' : String(doc.passage),
    compare: compare ? '1' : '',
  };
  const text = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== '')).toString();
  return text ? `/?${text}` : '/';
}

/**
 * The filter of a search.
 *
 * @param {Record<string, FieldFilter>} filters
 * @param {readonly { name: string, type: string }[]} fields those of the collection; conditions on others are left out
 * @param {string} [without] a field whose conditions are left out, to count its other values
 * @returns {Record<string, unknown> | undefined}
 */
export function filterOf(filters, fields, without) {
  const conditions = fields.flatMap(({ name, type }) => {
    const filter = filters[name];
    if (!filter || name === without || isEmpty(filter)) return [];
    const { values, from, to } = filter;
    const condition = {
      ...(values && values.length > 0 ? { in: values } : {}),
      ...(from ? { gte: bound(from, type, false) } : {}),
      ...(to ? { lte: bound(to, type, true) } : {}),
    };
    return [[name, condition]];
  });
  return conditions.length > 0 ? Object.fromEntries(conditions) : undefined;
}

/** @param {string} text of an input @param {string} type of the field @param {boolean} isEnd a day is meant with all its hours */
function bound(text, type, isEnd) {
  if (type === 'number' || type === 'year') return Number(text);
  const moment = `${text}T${isEnd ? '23:59:59.999' : '00:00:00.000'}Z`;
  if (type === 'date') return moment;
  return type === 'epoch-s' ? Math.floor(Date.parse(moment) / 1000) : Date.parse(moment);
}
