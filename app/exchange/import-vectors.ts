import { STDIN } from '../../corpus/byte-source.ts';
import { readCiff } from '../../corpus/ciff.ts';
import { contentHash } from '../../corpus/content-hash.ts';
import { readJsonVectors, type VectorDocument } from '../../corpus/json-vectors.ts';
import { WinnowError } from '../../errors.ts';
import { MAX_IMPACT } from '../../indexer/format/format.ts';
import type { IndexableSource, WeightVector } from '../../indexer/types.ts';
import type { RawIndex } from '../../query/embedded/raw-index.ts';
import type { InterchangeFormat, Side } from './formats.ts';

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
  raw: RawIndex,
  path: string,
  options: ImportOptions,
): Promise<ImportReport> {
  const unknownTerms = new Map<string, number>();
  const indexable = indexableRows(raw, options, unknownTerms);
  let documents = 0;
  let batch: IndexableSource[] = [];
  const flush = (): void => {
    raw.write(batch);
    documents += batch.length;
    batch = [];
    options.onProgress?.(documents);
  };
  for await (const item of options.format === 'ciff' ? ciffDocuments(path) : readJsonVectors(path)) {
    try {
      if ('error' in item) throw item.error;
      const source = indexable(item.row);
      raw.check(source);
      batch.push(source);
    } catch (error) {
      if (!(error instanceof WinnowError)) throw error;
      options.onBadRow(error);
    }
    if (batch.length === BATCH) flush();
  }
  flush();
  return { documents, unknownTerms };
}

/**
 * Converts rows to what an index stores.
 *
 * @param unknownTerms collects terms that are not in the vocabulary
 * @returns throws WINNOW_BAD_ROW for a weight that does not fit
 */
function indexableRows(
  raw: RawIndex,
  { side, maxWeight = MAX_IMPACT }: ImportOptions,
  unknownTerms: Map<string, number>,
): (row: VectorDocument) => IndexableSource {
  const termIds = new Map(raw.vocabulary.map((token, id) => [token, id]));
  const weightScale = (MAX_IMPACT / maxWeight) * raw.impactScale;
  return ({ id, text, vector }) => {
    const known: [termId: number, weight: number][] = [];
    const words: string[] = [];
    for (const [term, weight] of vector) {
      if (side === 'words') {
        if (!Number.isInteger(weight))
          throw badTerm(id, term, `a term frequency is a whole number, not ${weight}`);
        for (let i = 0; i < weight; i++) words.push(term);
        continue;
      }
      if (weight > maxWeight)
        throw badTerm(id, term, `the weight ${weight} is above the largest, ${maxWeight}; see --max-weight`);
      const termId = termIds.get(term);
      if (termId === undefined) unknownTerms.set(term, (unknownTerms.get(term) ?? 0) + 1);
      else known.push([termId, weight * weightScale]);
    }
    known.sort(([a], [b]) => a - b);
    const document = { id, title: '', text, metadata: {} };
    const weights: WeightVector = {
      termIds: Uint16Array.from(known, ([termId]) => termId),
      weights: Float32Array.from(known, ([, weight]) => weight),
    };
    const subwords = text ? { subwordIds: raw.encodeText(text) } : {};
    return {
      id,
      contentHash: contentHash(document),
      documents: [{ document, vector: weights, words, ...subwords }],
    };
  };
}

const badTerm = (id: string, term: string, message: string): WinnowError =>
  new WinnowError('WINNOW_BAD_ROW', message, { place: `document "${id}", term "${term}"` });

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

/** Turns posting lists into documents. All postings are in memory at once, 8 bytes each. */
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
