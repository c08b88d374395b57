import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { WinnowError } from '../errors.ts';
import { findFile, openBytes, readFailure } from './byte-source.ts';
import { RowProblem } from './document-row.ts';
import { lineText, parseJsonObject } from './jsonl.ts';
import { DEFAULT_MAX_LINE_BYTES, readLines } from './lines.ts';

export interface Query {
  readonly id: string;
  readonly text: string;
}

/** Graded judgements: query id -> document id -> relevance (an integer; 0 and below mean judged and not relevant). */
export type Qrels = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Queries and judgements of a BEIR folder for one split. */
export interface BeirTopics {
  /** Folder name, e.g. `scifact`. */
  readonly name: string;
  readonly split: string;
  /** Only queries with at least one judgement in this split, in file order: these are evaluated. */
  readonly queries: readonly Query[];
  readonly qrels: Qrels;
  /** Queries of queries.jsonl without a judgement in this split: left out, as BEIR's loader does. */
  readonly unjudgedQueries: number;
  /** Judged query ids that queries.jsonl lacks: they cannot be searched and count 0 only under `complete`. */
  readonly missingQueries: readonly string[];
}

/** What separates columns in the files of TREC: blanks as C's isspace knows them, so that other blanks may be in ids. */
export const BLANKS = /[ \t\n\v\f\r]+/;

function badDataset(message: string, file: string, line: number, hint?: string): WinnowError {
  return new WinnowError('WINNOW_BAD_DATASET', message, {
    place: `${file}:${line}`,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Lines of a text file with their numbers, blank ones left out. @throws WinnowError at the first unreadable line */
export async function* textLines(file: string): AsyncGenerator<{ line: number; text: string }> {
  try {
    for await (const found of readLines(openBytes(file))) {
      const text = lineText(found, file, DEFAULT_MAX_LINE_BYTES);
      if (typeof text !== 'string') throw badDataset(text.message, file, found.line, text.hint);
      if (text.trim() !== '') yield { line: found.line, text };
    }
  } catch (error) {
    throw readFailure(error, file);
  }
}

/**
 * Reads queries.jsonl (`_id`, `text`). A data set is measured as a whole or not at all, so the first malformed line, a
 * repeated id or an empty text stops.
 *
 * @throws WinnowError WINNOW_BAD_DATASET, WINNOW_NOT_FOUND
 */
export async function readQueries(file: string): Promise<Query[]> {
  const queries: Query[] = [];
  const firstLines = new Map<string, number>();
  for await (const { line, text } of textLines(file)) {
    const { id, query } = parseQuery(text, file, line);
    const earlier = firstLines.get(id);
    if (earlier !== undefined)
      throw badDataset(`the query "${id}" was already given on line ${earlier}`, file, line);
    firstLines.set(id, line);
    queries.push({ id, text: query });
  }
  if (queries.length === 0) throw badDataset('there is no query in it', file, 1);
  return queries;
}

function parseQuery(text: string, file: string, line: number): { id: string; query: string } {
  let row: Record<string, unknown>;
  try {
    row = parseJsonObject(text);
  } catch (error) {
    if (error instanceof RowProblem) throw badDataset(error.message, file, line);
    throw error;
  }
  const id = row._id ?? row.id;
  if ((typeof id !== 'string' && typeof id !== 'number') || id === '')
    throw badDataset('a query needs an "_id" that is a string or number', file, line);
  if (typeof row.text !== 'string' || row.text.trim() === '')
    throw badDataset(`query "${id}" needs a non-empty "text"`, file, line);
  return { id: String(id), query: row.text };
}

/**
 * Reads judgements: BEIR's `query-id <tab> corpus-id <tab> score` (a header line is skipped) or TREC's
 * `query iteration document relevance`. A pair judged twice with the same grade counts once; with another grade it stops.
 *
 * @throws WinnowError WINNOW_BAD_DATASET, WINNOW_NOT_FOUND
 */
export async function readQrels(file: string): Promise<Map<string, Map<string, number>>> {
  const qrels = new Map<string, Map<string, number>>();
  let first = true;
  for await (const { line, text } of textLines(file)) {
    const isFirst = first;
    first = false;
    let fields = text.split('\t').map((field) => field.trim());
    if (fields.length === 1) fields = text.split(BLANKS).filter(Boolean);
    if (fields.length !== 3 && fields.length !== 4)
      throw badDataset(
        `${fields.length} fields, expected query, document, score or TREC's four`,
        file,
        line,
        'separate the fields with tabs or blanks',
      );
    const [queryId, documentId, grade] = fields.length === 3 ? fields : [fields[0], fields[2], fields[3]];
    if (isFirst && !/^[+-]?\d/.test(grade!)) continue;
    if (!/^[+-]?\d{1,9}(?:\.0+)?$/.test(grade!))
      throw badDataset(`the relevance "${grade}" is not an integer`, file, line);
    if (!queryId || !documentId) throw badDataset('an id is empty', file, line);
    const judged = qrels.get(queryId) ?? new Map<string, number>();
    qrels.set(queryId, judged);
    const relevance = Number(grade);
    const earlier = judged.get(documentId);
    if (earlier !== undefined && earlier !== relevance)
      throw badDataset(`"${documentId}" was already judged ${earlier} for query "${queryId}"`, file, line);
    judged.set(documentId, relevance);
  }
  if (qrels.size === 0) throw badDataset('there is no judgement in it', file, 1);
  return qrels;
}

/**
 * Reads queries.jsonl and qrels/<split>.tsv of a BEIR folder or of BEIR's .zip (files plain, `.gz` or `.xz`).
 *
 * @param split default `test`
 * @throws WinnowError WINNOW_NOT_FOUND (with the splits there are), WINNOW_BAD_DATASET
 */
export async function readBeirTopics(folder: string, split = 'test'): Promise<BeirTopics> {
  const queryFile = await findDatasetFile(folder, 'queries.jsonl');
  if (!queryFile)
    throw new WinnowError('WINNOW_NOT_FOUND', 'there is no queries.jsonl', {
      place: folder,
      hint: 'a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/test.tsv',
    });
  const qrelsFile = await findDatasetFile(folder, `qrels/${split}.tsv`);
  if (!qrelsFile) {
    const names = await readdir(join(folder, 'qrels')).catch(() => [] as string[]);
    const splits = names
      .map((name) => /^(.+)\.tsv(?:\.gz|\.xz)?$/.exec(name)?.[1])
      .filter((name) => name !== undefined);
    throw new WinnowError('WINNOW_NOT_FOUND', `there is no split "${split}"`, {
      place: join(folder, 'qrels'),
      hint: splits.length > 0 ? `the splits are ${splits.join(', ')}` : 'add qrels/test.tsv',
    });
  }
  const [all, qrels] = await Promise.all([readQueries(queryFile), readQrels(qrelsFile)]);
  const queries = all.filter((query) => qrels.has(query.id));
  const known = new Set(all.map((query) => query.id));
  const missingQueries = [...qrels.keys()].filter((id) => !known.has(id));
  if (queries.length === 0)
    throw new WinnowError('WINNOW_BAD_DATASET', 'no judged query is among the queries', {
      place: qrelsFile,
      hint: 'do queries.jsonl and the qrels belong together?',
    });
  return {
    name: basename(folder.replace(/[/\\]+$/, '')).replace(/\.zip$/i, '') || folder,
    split,
    queries,
    qrels,
    unjudgedQueries: all.length - queries.length,
    missingQueries,
  };
}

async function findDatasetFile(folder: string, name: string): Promise<string | undefined> {
  try {
    return await findFile(folder, name);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new WinnowError(
      missing ? 'WINNOW_NOT_FOUND' : 'WINNOW_BAD_DATASET',
      missing ? 'no such archive' : `cannot be read: ${(cause as Error).message}`,
      { place: folder, cause },
    );
  }
}
