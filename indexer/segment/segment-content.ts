import { quantizeWeights } from '../../kernels/search/inversion.ts';
import { bitmapFor, setBit } from '../format/bitmap.ts';
import { storedId } from '../format/stored-id.ts';
import { encodeStrings, sortUtf8 } from '../format/string-table.ts';
import { buildPostingLists } from '../postings/posting-list-writer.ts';
import type { IndexableDocument, IndexSettings } from '../types.ts';
import { denseOf } from './dense-vectors.ts';
import { encodeColumn, fieldValues } from './filter-columns.ts';
import { allocateForward, type ForwardDraft, type ForwardMatrix } from './forward-index.ts';
import type { SegmentContent } from './segment-writer.ts';

/** A new document with the key it gets. */
export interface KeyedDocument {
  readonly docKey: number;
  readonly item: IndexableDocument;
}

/** The content of the segment that a batch of new documents becomes; document i has docId i. */
export function buildSegmentContent(
  documents: readonly KeyedDocument[],
  settings: IndexSettings,
): SegmentContent {
  const ids = documents.map(({ item: { document } }) => storedId(document.id, document.passage));
  const forward = forwardOf(documents, settings.impactScale);
  return {
    docKeys: Uint32Array.from(documents, ({ docKey }) => docKey),
    ids: encodeStrings(ids),
    idRanks: ranksOf(ids),
    lengths: Uint32Array.from(documents, ({ item }) => item.words.length),
    forward,
    dense:
      settings.vectorSize === undefined
        ? undefined
        : denseOf(
            documents.map(({ item }) => item.dense),
            settings.vectorSize,
          ),
    inText: inTextOf(documents, forward.rows),
    ...wordsOf(documents),
    fields: settings.filterFields.flatMap((field) =>
      encodeColumn(
        field,
        documents.map(({ item }) => fieldValues(field, item.document)),
      ),
    ),
  };
}

/** Weights that are rounded at a time stay in the second-level cache. */
const STAGED_WEIGHTS = 1 << 16;

/** The vectors of documents, rounded as `quantizeInto` rounds one. */
function forwardOf(documents: readonly KeyedDocument[], impactScale: number): ForwardDraft {
  const numDocs = documents.length;
  let most = 0;
  let longest = 0;
  for (const { item } of documents) {
    most += item.vector.termIds.length;
    longest = Math.max(longest, item.vector.weights.length);
  }
  const full = allocateForward(numDocs, most);
  const { rowOffsets, columnIds, values } = full.rows;
  const staged = new Float32Array(Math.min(most, Math.max(longest, STAGED_WEIGHTS)));
  let first = 0;
  let zeros = 0;
  for (let docId = 0; docId < numDocs; ) {
    let count = 0;
    for (; docId < numDocs; docId++) {
      const { termIds, weights } = documents[docId]!.item.vector;
      if (count + weights.length > staged.length) break;
      staged.set(weights, count);
      columnIds.set(termIds, first + count);
      count += weights.length;
      rowOffsets[docId + 1] = first + count;
    }
    zeros += quantizeWeights(staged, count, 1 / impactScale, values, first);
    first += count;
  }
  return zeros === 0 ? full : withoutZeros(full.rows, most - zeros);
}

/** @param total entries that are not 0 */
function withoutZeros({ rowOffsets, columnIds, values }: ForwardMatrix, total: number): ForwardDraft {
  const numDocs = rowOffsets.length - 1;
  const cut = allocateForward(numDocs, total);
  let next = 0;
  for (let docId = 0; docId < numDocs; docId++) {
    for (let p = rowOffsets[docId]!; p < rowOffsets[docId + 1]!; p++) {
      if (values[p] === 0) continue;
      cut.rows.columnIds[next] = columnIds[p]!;
      cut.rows.values[next++] = values[p]!;
    }
    cut.rows.rowOffsets[docId + 1] = next;
  }
  return cut;
}

/** Marks the postings whose terms are among the subwords of their document's text. */
function inTextOf(documents: readonly KeyedDocument[], { rowOffsets, columnIds }: ForwardMatrix): Uint8Array {
  const inText = bitmapFor(columnIds.length);
  documents.forEach(({ item }, docId) => {
    if (!item.subwordIds) return;
    const subwordIds = new Set(item.subwordIds);
    for (let p = rowOffsets[docId]!; p < rowOffsets[docId + 1]!; p++)
      if (subwordIds.has(columnIds[p]!)) setBit(inText, p);
  });
  return inText;
}

function wordsOf(documents: readonly KeyedDocument[]): Pick<SegmentContent, 'wordPostings' | 'words'> {
  const most = documents.reduce((sum, { item }) => sum + item.words.length, 0);
  /** Words are numbered as they first occur; the lists follow their byte order. */
  const numbers = new Map<string, number>();
  const rowOffsets = new Uint32Array(documents.length + 1);
  const columnIds = new Uint32Array(most);
  const values = new Uint8Array(most);
  /** By word: its entry in the row under construction, if that is at or after the row's start. */
  const entries: number[] = [];
  let next = 0;
  documents.forEach(({ item }, docId) => {
    const start = next;
    for (const word of item.words) {
      let number = numbers.get(word);
      if (number === undefined) {
        number = entries.length;
        numbers.set(word, number);
        entries.push(-1);
      }
      const entry = entries[number]!;
      if (entry >= start) {
        if (values[entry]! < 255) values[entry]!++;
        continue;
      }
      entries[number] = next;
      columnIds[next] = number;
      values[next++] = 1;
    }
    rowOffsets[docId + 1] = next;
  });
  const sorted = sortUtf8([...numbers.keys()]);
  const listIds = new Uint32Array(sorted.length);
  sorted.forEach((word, listId) => {
    listIds[numbers.get(word)!] = listId;
  });
  const rows = {
    rowOffsets,
    columnIds:
      numbers.size <= 1 << 16 ? Uint16Array.from(columnIds.subarray(0, next)) : columnIds.subarray(0, next),
    values: values.subarray(0, next),
  };
  return {
    wordPostings: () => buildPostingLists(rows, sorted.length, listIds),
    words: encodeStrings(sorted),
  };
}

/** Rank of each id among all of them in UTF-16 order. */
export function ranksOf(ids: readonly string[]): Uint32Array {
  const byId = Uint32Array.from(ids.keys()).sort((a, b) => (ids[a]! < ids[b]! ? -1 : 1));
  const ranks = new Uint32Array(ids.length);
  byId.forEach((docId, rank) => {
    ranks[docId] = rank;
  });
  return ranks;
}
