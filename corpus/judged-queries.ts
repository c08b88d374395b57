import { WinnowError } from '../errors.ts';
import { openBytes, readFailure, sourceName } from './byte-source.ts';
import { RowProblem } from './document-row.ts';
import { lineText, parseJsonObject } from './jsonl.ts';
import { DEFAULT_MAX_LINE_BYTES, readLines } from './lines.ts';

/** A query with what people said of documents. A document is named by its id, or given as its text. */
export interface JudgedQuery {
  readonly query: string;
  /** Documents that answer, at least one. */
  readonly positives: readonly string[];
  /** Documents that do not. None is among {@link positives}. */
  readonly negatives: readonly string[];
  /** First row that names the query, from 1. */
  readonly line: number;
}

export interface JudgedQueries {
  /** One per query, in the order of their first rows. Queries that differ in case and blanks only are one. */
  readonly queries: readonly JudgedQuery[];
  readonly rows: number;
  readonly badRows: number;
}

/** `pairs`: `{"query", "positive", "negatives"?}`; `clicks`: `{"query", "clicked", "shown"?}`. */
export type JudgedFormat = 'pairs' | 'clicks';

/** Queries that people would call the same. */
export const sameQuery = (query: string): string => query.trim().toLowerCase().replace(/\s+/g, ' ');

/**
 * Reads training pairs, or a log of clicks, from JSON Lines (plain, `.gz` or `.xz`).
 *
 * Pairs: `positive` and `negatives` are a document's id or text, or a list of them. Clicks: `clicked` and `shown` are lists of ids;
 * `shown` is in the order of the page. What was shown above the last click and not clicked counts as negative, since people read
 * from the top (Joachims et al., SIGIR 2005, section 5, "click > skip above"). Rows of the same query are joined; a document that is
 * positive in one row is negative in none.
 *
 * @param onBadRow called with each row that cannot be read, which is left out
 * @throws WinnowError WINNOW_NOT_FOUND; WINNOW_BAD_ROW, the first row's, when no row can be used
 */
export async function readJudgedQueries(
  file: string,
  format: JudgedFormat,
  onBadRow: (error: WinnowError) => void,
): Promise<JudgedQueries> {
  const byQuery = new Map<string, { query: string; line: number; good: Set<string>; bad: Set<string> }>();
  const name = sourceName(file);
  let rows = 0;
  let badRows = 0;
  let first: WinnowError | undefined;
  const reject = (error: WinnowError): void => {
    first ??= error;
    badRows++;
    onBadRow(error);
  };
  try {
    for await (const found of readLines(openBytes(file))) {
      const text = lineText(found, name, DEFAULT_MAX_LINE_BYTES);
      if (typeof text === 'string' && text.trim() === '') continue;
      rows++;
      try {
        if (typeof text !== 'string') throw text;
        const { query, positives, negatives } = FORMATS[format](parseJsonObject(text));
        const key = sameQuery(query);
        const known = byQuery.get(key) ?? { query, line: found.line, good: new Set(), bad: new Set() };
        byQuery.set(key, known);
        for (const one of positives) known.good.add(one);
        for (const one of negatives) known.bad.add(one);
      } catch (error) {
        if (error instanceof RowProblem) reject(error.at(name, found.line));
        else if (error instanceof WinnowError) reject(error);
        else throw error;
      }
    }
  } catch (error) {
    throw readFailure(error, file);
  }
  if (byQuery.size === 0)
    throw new WinnowError('WINNOW_BAD_ROW', 'no row can be used', {
      place: name,
      hint: first ? `the first problem is ${first}` : 'the file has no rows',
    });
  const queries = [...byQuery.values()].map(({ query, line, good, bad }) => ({
    query,
    line,
    positives: [...good],
    negatives: [...bad].filter((one) => !good.has(one)),
  }));
  return { queries, rows, badRows };
}

type Row = Pick<JudgedQuery, 'query' | 'positives' | 'negatives'>;

const FORMATS: Readonly<Record<JudgedFormat, (row: Record<string, unknown>) => Row>> = {
  pairs: (row) => ({
    query: queryOf(row),
    positives: needSome(listOf(row, 'positive'), 'positive'),
    negatives: listOf(row, 'negatives'),
  }),
  clicks: (row) => {
    const positives = needSome(listOf(row, 'clicked'), 'clicked');
    const shown = listOf(row, 'shown');
    const lastClick = Math.max(...positives.map((id) => shown.lastIndexOf(id)));
    return { query: queryOf(row), positives, negatives: shown.slice(0, Math.max(0, lastClick)) };
  },
};

function queryOf({ query }: Record<string, unknown>): string {
  if (typeof query === 'string' && query.trim() !== '' && query.length <= 10_000) return query.trim();
  throw problem('"query" must be a text of 1 to 10,000 characters');
}

/** The texts or ids of a field: one, a list, or none. */
function listOf(row: Record<string, unknown>, field: string): string[] {
  const value = row[field];
  if (value === undefined || value === null) return [];
  return (Array.isArray(value) ? value : [value]).map((one) => {
    if (typeof one === 'string' && one.trim() !== '') return one;
    if (typeof one === 'number') return String(one);
    throw problem(`"${field}" must be a document's id or text, or a list of them`);
  });
}

function needSome(list: string[], field: string): string[] {
  if (list.length > 0) return list;
  throw problem(`"${field}" names no document`);
}

const problem = (message: string): RowProblem => new RowProblem('WINNOW_BAD_ROW', message);
