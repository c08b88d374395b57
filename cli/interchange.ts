import { createWriteStream, fstatSync, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { STDIN } from '../corpus/byte-source.ts';
import { encodeCiff, readCiff } from '../corpus/ciff.ts';
import { contentHash } from '../corpus/content-hash.ts';
import { formatJsonVector, readJsonVectors, type VectorDocument } from '../corpus/json-vectors.ts';
import { WinnowError } from '../errors.ts';
import { MAX_IMPACT } from '../indexer/format.ts';
import type { Generation, SegmentView } from '../indexer/generation.ts';
import { isLive } from '../indexer/merge.ts';
import { forEachInList, rowsOfPostingLists } from '../indexer/posting-lists.ts';
import { displayId, parseStoredId } from '../indexer/stored-id.ts';
import type { IndexableSource } from '../indexer/types.ts';
import type { SearchEngine } from '../query/search-engine.ts';

/** Formats that other engines read and write. */
export const INTERCHANGE_FORMATS = ['json-vectors', 'ciff'] as const;
export type InterchangeFormat = (typeof INTERCHANGE_FORMATS)[number];
/** Which side of an index: the learned weights, or the words that BM25 counts. */
export const SIDES = ['impacts', 'words'] as const;
export type Side = (typeof SIDES)[number];

export interface ImportOptions {
  readonly format: InterchangeFormat;
  readonly side: Side;
  /** The weight that becomes the largest impact, 255; default 255, so that whole impacts stay what they are. */
  readonly maxWeight?: number;
  /** Called for each row that was left out. */
  readonly onBadRow: (error: WinnowError) => void;
  readonly onProgress?: (documents: number) => void;
}

export interface ImportReport {
  readonly documents: number;
  /** Terms that the model's vocabulary does not have, with the number of postings left out. */
  readonly unknownTerms: ReadonlyMap<string, number>;
}

const BATCH = 4096;

/** Adds documents given as term vectors; no model encodes them. */
export async function importVectors(
  engine: SearchEngine,
  path: string,
  { format, side, maxWeight = MAX_IMPACT, onBadRow, onProgress }: ImportOptions,
): Promise<ImportReport> {
  const { tokenizer } = engine.model.query;
  const termIds = new Map(tokenizer.tokens.map((token, id) => [token, id]));
  const { impactScale } = engine.store.settings;
  const unknownTerms = new Map<string, number>();

  /** @throws WinnowError WINNOW_BAD_ROW for a weight that does not fit */
  const indexable = ({ id, text, vector }: VectorDocument): IndexableSource => {
    const known: [termId: number, weight: number][] = [];
    const words: string[] = [];
    for (const [term, weight] of vector) {
      const fail = (message: string): never => {
        throw new WinnowError('WINNOW_BAD_ROW', message, { place: `document "${id}", term "${term}"` });
      };
      if (side === 'words') {
        if (!Number.isInteger(weight)) fail(`a term frequency is a whole number, not ${weight}`);
        for (let i = 0; i < weight; i++) words.push(term);
        continue;
      }
      if (weight > maxWeight)
        fail(`the weight ${weight} is above the largest, ${maxWeight}; see --max-weight`);
      const termId = termIds.get(term);
      if (termId === undefined) unknownTerms.set(term, (unknownTerms.get(term) ?? 0) + 1);
      else known.push([termId, ((weight * MAX_IMPACT) / maxWeight) * impactScale]);
    }
    known.sort(([a], [b]) => a - b);
    const document = { id, title: '', text, metadata: {} };
    return {
      id,
      contentHash: contentHash(document),
      documents: [
        {
          document,
          vector: {
            termIds: Uint16Array.from(known, ([termId]) => termId),
            weights: Float32Array.from(known, ([, weight]) => weight),
          },
          words,
          ...(text ? { pieces: tokenizer.encode(text) } : {}),
        },
      ],
    };
  };

  let documents = 0;
  let batch: IndexableSource[] = [];
  const flush = (): void => {
    engine.store.upsert(batch);
    engine.store.mergeIfNeeded();
    documents += batch.length;
    batch = [];
    onProgress?.(documents);
  };
  for await (const item of format === 'ciff' ? ciffDocuments(path) : readJsonVectors(path)) {
    try {
      if ('error' in item) throw item.error;
      const source = indexable(item.row);
      engine.store.prepare({ ...source, documents: source.documents.map(({ document }) => document) });
      batch.push(source);
    } catch (error) {
      if (!(error instanceof WinnowError)) throw error;
      onBadRow(error);
    }
    if (batch.length === BATCH) flush();
  }
  flush();
  await engine.store.merged();
  return { documents, unknownTerms };
}

/**
 * Reads a file up to its first item, so that one that is missing or of another kind is refused before an index is made for
 * it. Standard input can be read only once and is not checked.
 *
 * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_BAD_DATASET
 */
export async function checkVectors(path: string, format: InterchangeFormat): Promise<void> {
  if (path === STDIN) return;
  for await (const _ of format === 'ciff' ? readCiff(path) : readJsonVectors(path)) return;
}

/** Turns posting lists into documents; all postings are in memory at once, 8 bytes each. */
async function* ciffDocuments(path: string): AsyncGenerator<{ row: VectorDocument }> {
  const terms: string[] = [];
  const lists: { docIds: Uint32Array; values: Uint32Array }[] = [];
  const ids: string[] = [];
  for await (const item of readCiff(path)) {
    if ('postings' in item) {
      terms.push(item.postings.term);
      lists.push(item.postings);
    } else if ('document' in item) ids[item.document.docId] = item.document.id;
  }
  const offsets = new Uint32Array(ids.length + 1);
  for (const { docIds } of lists)
    for (const docId of docIds) {
      if (docId >= ids.length || ids[docId] === undefined)
        throw new WinnowError(
          'WINNOW_BAD_DATASET',
          `a posting names document ${docId}, which has no record`,
          {
            place: path,
          },
        );
      offsets[docId + 1]!++;
    }
  for (let docId = 0; docId < ids.length; docId++) offsets[docId + 1]! += offsets[docId]!;
  const next = offsets.slice();
  const termOf = new Uint32Array(offsets[ids.length]!);
  const weightOf = new Uint32Array(offsets[ids.length]!);
  lists.forEach(({ docIds, values }, term) => {
    docIds.forEach((docId, i) => {
      const at = next[docId]!++;
      termOf[at] = term;
      weightOf[at] = values[i]!;
    });
  });
  for (let docId = 0; docId < ids.length; docId++) {
    const vector = new Map<string, number>();
    for (let at = offsets[docId]!; at < offsets[docId + 1]!; at++)
      vector.set(terms[termOf[at]!]!, weightOf[at]!);
    yield { row: { id: ids[docId]!, text: '', vector } };
  }
}

/** The path that stands for standard output. */
const STDOUT = '-';

/** Whether what is written to a path goes to standard output: `-`, /dev/stdout and the like. */
export function isStandardOutput(path: string): boolean {
  if (path === STDOUT) return true;
  try {
    const [output, named] = [fstatSync(1), statSync(path)];
    return !named.isFile() && output.dev === named.dev && output.ino === named.ino;
  } catch {
    return false;
  }
}

/**
 * Writes all live documents as term vectors with whole weights: to standard output, or to a file that appears under its
 * name when it is whole.
 *
 * @returns how many
 * @throws WinnowError WINNOW_STORAGE when the file cannot be written; a closed pipe ends the writing without an error
 */
export async function exportVectors(
  engine: SearchEngine,
  path: string,
  format: InterchangeFormat,
  side: Side,
): Promise<number> {
  const generation = engine.generation().use();
  const toStandardOutput = isStandardOutput(path);
  // A device or pipe is written to as it stands.
  const isSpecial = toStandardOutput || statSync(path, { throwIfNoEntry: false })?.isFile() === false;
  const target = isSpecial ? path : `${path}.part`;
  try {
    const pieces =
      format === 'ciff' ? ciffPieces(engine, generation, side) : jsonPieces(engine, generation, side);
    await pipeline(
      Readable.from(pieces, { objectMode: true }),
      path === STDOUT ? process.stdout : createWriteStream(target),
      { end: path !== STDOUT },
    );
    if (!isSpecial) await rename(target, path);
    return generation.numLive;
  } catch (cause) {
    if (cause instanceof WinnowError) throw cause;
    if (!isSpecial) await rm(target, { force: true }).catch(() => {});
    if (toStandardOutput && (cause as NodeJS.ErrnoException).code === 'EPIPE') return generation.numLive;
    throw new WinnowError('WINNOW_STORAGE', `cannot be written: ${(cause as Error).message}`, {
      place: path === STDOUT ? 'standard output' : path,
      cause,
    });
  } finally {
    generation.release();
  }
}

/** Other engines have one name for each document: that of a passage is `source#ordinal`, unless a document is called so. */
function exportedId(generation: Generation, stored: string): string {
  const ref = parseStoredId(stored);
  const id = displayId(ref);
  if (ref.passage !== undefined && generation.documentsOf({ id }).length > 0)
    throw new WinnowError(
      'WINNOW_BAD_DATASET',
      `passage ${ref.passage} of "${ref.id}" would be exported as "${id}", which is the id of a document`,
      { place: `document "${id}"`, hint: 'give that document another id, or index with --no-passages' },
    );
  return id;
}

function* jsonPieces(engine: SearchEngine, generation: Generation, side: Side): Generator<string> {
  const { tokens } = engine.model.query.tokenizer;
  for (const { segment, live } of generation.segments) {
    const words = segment.words.toArray();
    const rows = side === 'words' ? rowsOfPostingLists(segment.lexical) : undefined;
    for (let docId = 0; docId < segment.numDocs; docId++) {
      if (!isLive(live, docId)) continue;
      const vector = new Map<string, number>();
      if (rows) {
        for (let p = rows.offsets[docId]!; p < rows.offsets[docId + 1]!; p++)
          vector.set(words[rows.lists[p]!]!, rows.values[p]!);
      } else {
        const { termIds, impacts } = segment.vector(docId);
        termIds.forEach((termId, i) => {
          vector.set(tokens[termId]!, impacts[i]!);
        });
      }
      const text = generation.document(segment.docKeys[docId]!)?.text ?? '';
      yield formatJsonVector({ id: exportedId(generation, segment.id(docId)), text, vector });
    }
  }
}

function* ciffPieces(engine: SearchEngine, generation: Generation, side: Side): Generator<Uint8Array> {
  const { tokens } = engine.model.query.tokenizer;
  const { segments } = generation;
  // Live documents are numbered segment by segment.
  const numbers = segments.map(({ segment }) => new Int32Array(segment.numDocs).fill(-1));
  const documents: { docId: number; id: string; length: number }[] = [];
  segments.forEach(({ segment, live }, s) => {
    for (let docId = 0; docId < segment.numDocs; docId++) {
      if (!isLive(live, docId)) continue;
      numbers[s]![docId] = documents.length;
      const length = side === 'words' ? segment.lengths[docId]! : segment.vector(docId).termIds.length;
      const id = exportedId(generation, segment.id(docId));
      documents.push({ docId: documents.length, id, length });
    }
  });
  /** By term: the lists that hold it. */
  const places = new Map<string, { view: SegmentView; number: Int32Array; list: number }[]>();
  segments.forEach((view, s) => {
    const { segment } = view;
    const names =
      side === 'words' ? segment.words.toArray() : Array.from(segment.terms, (termId) => tokens[termId]!);
    names.forEach((name, list) => {
      const known = places.get(name) ?? [];
      known.push({ view, number: numbers[s]!, list });
      places.set(name, known);
    });
  });
  const postingsOf = (term: string) => {
    const docIds: number[] = [];
    const values: number[] = [];
    for (const { view, number, list } of places.get(term)!) {
      const lists = side === 'words' ? view.segment.lexical : view.segment.impacts;
      forEachInList(lists, list, (docId, value) => {
        if (number[docId]! < 0) return;
        docIds.push(number[docId]!);
        values.push(value);
      });
    }
    return { term, docIds: Uint32Array.from(docIds), values: Uint32Array.from(values) };
  };
  // A term that only deleted documents had has no list.
  const terms = [...places.keys()]
    .filter((term) => places.get(term)!.some(({ view }) => !view.live) || postingsOf(term).docIds.length > 0)
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  function* postings() {
    for (const term of terms) yield postingsOf(term);
  }
  yield* encodeCiff(`${engine.model.name}, ${side}`, terms.length, postings(), documents);
}
