import { basename, extname } from 'node:path';
import { type Qrels, type Query, readBeirTopics, readQrels, readQueries } from '../corpus/beir.ts';
import { uncompressedName } from '../corpus/byte-source.ts';
import { openCorpus } from '../corpus/open-corpus.ts';
import { WinnowError } from '../errors.ts';
import { readTrecTopics } from './trec.ts';

/** Documents, queries and judgements of one test collection. The documents stay on disk: read them by `openCorpus`. */
export interface EvaluationDataset {
  /** Printed name, e.g. `scifact`, or `nfcorpus-dev` for a split other than test. */
  readonly name: string;
  /** What to give to `openCorpus`. */
  readonly corpusPath: string;
  /** The queries that are evaluated: those with at least one judgement. */
  readonly queries: readonly Query[];
  readonly qrels: Qrels;
  readonly unjudgedQueries: number;
  readonly missingQueries: readonly string[];
}

export interface DatasetOptions {
  /** BEIR split, default `test`. */
  readonly split?: string;
  /** Files that replace the folder's own: topics as TREC topics, `id <tab> text` or queries.jsonl; qrels in either form. */
  readonly topics?: string;
  readonly qrels?: string;
  readonly name?: string;
}

/**
 * Opens a BEIR folder, or any corpus with `topics` and `qrels` given.
 *
 * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_BAD_DATASET
 */
export async function openDataset(path: string, options: DatasetOptions = {}): Promise<EvaluationDataset> {
  const { topics, qrels: qrelsFile } = options;
  if (topics === undefined && qrelsFile === undefined) {
    const beir = await readBeirTopics(path, options.split);
    const name = options.name ?? (beir.split === 'test' ? beir.name : `${beir.name}-${beir.split}`);
    const { queries, qrels, unjudgedQueries, missingQueries } = beir;
    return { name, corpusPath: path, queries, qrels, unjudgedQueries, missingQueries };
  }
  if (topics === undefined || qrelsFile === undefined)
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'topics and qrels must be given together', {
      place: topics === undefined ? 'topics' : 'qrels',
    });
  const [all, qrels] = await Promise.all([readTopics(topics), readQrels(qrelsFile)]);
  const known = new Set(all.map(({ id }) => id));
  const queries = all.filter(({ id }) => qrels.has(id));
  if (queries.length === 0)
    throw new WinnowError('WINNOW_BAD_DATASET', 'no judged query is among the topics', {
      place: qrelsFile,
      hint: 'do the topics and the qrels belong together?',
    });
  return {
    name: options.name ?? basename(uncompressedName(qrelsFile), extname(uncompressedName(qrelsFile))),
    corpusPath: path,
    queries,
    qrels,
    unjudgedQueries: all.length - queries.length,
    missingQueries: [...qrels.keys()].filter((id) => !known.has(id)),
  };
}

async function readTopics(file: string): Promise<readonly Query[]> {
  return /\.(jsonl|ndjson)$/i.test(uncompressedName(file)) ? readQueries(file) : readTrecTopics(file);
}

/**
 * Titles and texts of some documents, read in one pass over the corpus; memory grows with the wanted ids only.
 */
export async function readTexts(
  corpusPath: string,
  wanted: ReadonlySet<string>,
): Promise<Map<string, { title: string; text: string }>> {
  const found = new Map<string, { title: string; text: string }>();
  if (wanted.size === 0) return found;
  for await (const item of await openCorpus(corpusPath, { maxTrackedIds: 0 })) {
    if ('error' in item || !wanted.has(item.document.id)) continue;
    found.set(item.document.id, { title: item.document.title, text: item.document.text });
    if (found.size === wanted.size) break;
  }
  return found;
}

const ownDocumentsOf = new WeakMap<EvaluationDataset, Promise<ReadonlySet<string>>>();

/**
 * Ids of the queries that are documents of the collection themselves, as in ArguAna and Quora: a document of that id has
 * the query's words as its text, its title or both. A shared id alone proves nothing: many sets number queries and documents
 * alike. Reads the corpus once per data set.
 */
export function ownDocuments(dataset: EvaluationDataset): Promise<ReadonlySet<string>> {
  const known = ownDocumentsOf.get(dataset) ?? findOwnDocuments(dataset);
  ownDocumentsOf.set(dataset, known);
  return known;
}

async function findOwnDocuments({ corpusPath, queries }: EvaluationDataset): Promise<ReadonlySet<string>> {
  const texts = await readTexts(corpusPath, new Set(queries.map(({ id }) => id))).catch((error) => {
    // A run may be measured without its collection. Then no query is known to be a document.
    if (error instanceof WinnowError && error.code === 'WINNOW_NOT_FOUND') return undefined;
    throw error;
  });
  if (!texts) return new Set();
  const own = queries.filter(({ id, text }) => {
    const document = texts.get(id);
    if (!document) return false;
    const query = wordsOf(text);
    return [document.text, document.title, `${document.title} ${document.text}`].some(
      (candidate) => wordsOf(candidate) === query,
    );
  });
  return new Set(own.map(({ id }) => id));
}

/** Letters and digits in small letters: case, blanks and punctuation do not make another text. */
function wordsOf(text: string): string {
  return (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).join(' ');
}
