import { encodeColumn, fieldValues } from './filter-columns.ts';
import { bitmapFor, setBit } from './format.ts';
import { quantizeInto } from './impact.ts';
import { buildPostingLists, type Rows } from './posting-lists.ts';
import { allocateForward, type SegmentContent } from './segment-builder.ts';
import { storedId } from './stored-id.ts';
import { encodeStrings, sortUtf8 } from './string-table.ts';
import type { IndexableDocument, IndexSettings } from './types.ts';

/** A new document with the key it gets. */
export interface KeyedDocument {
  readonly docKey: number;
  readonly item: IndexableDocument;
}

/** The content of the segment that a batch of new documents becomes. */
export function contentOf(documents: readonly KeyedDocument[], settings: IndexSettings): SegmentContent {
  const ids = documents.map(({ item: { document } }) => storedId(document.id, document.passage));
  const { lexical, words } = lexicalOf(documents);
  const forward = forwardOf(documents, settings.impactScale);
  return {
    docKeys: Uint32Array.from(documents, ({ docKey }) => docKey),
    ids: encodeStrings(ids),
    ranks: ranksOf(ids),
    lengths: Uint32Array.from(documents, ({ item }) => item.words.length),
    forward,
    inText: inTextOf(documents, forward.rows),
    lexical,
    words,
    fields: settings.filterFields.flatMap((field) =>
      encodeColumn(
        field,
        documents.map(({ item }) => fieldValues(field, item.document)),
      ),
    ),
  };
}

function forwardOf(documents: readonly KeyedDocument[], impactScale: number): SegmentContent['forward'] {
  const numDocs = documents.length;
  const most = documents.reduce((sum, { item }) => sum + item.vector.termIds.length, 0);
  const full = allocateForward(numDocs, most);
  const { offsets, lists, values } = full.rows;
  for (let docId = 0; docId < numDocs; docId++)
    offsets[docId + 1] = quantizeInto(
      documents[docId]!.item.vector,
      impactScale,
      lists,
      values,
      offsets[docId]!,
    );
  const total = offsets[numDocs]!;
  if (total === most) return full;
  const cut = allocateForward(numDocs, total); // some weights rounded to 0
  cut.rows.offsets.set(offsets);
  cut.rows.lists.set(lists.subarray(0, total));
  cut.rows.values.set(values.subarray(0, total));
  return cut;
}

/** Which postings' terms are among the pieces of their document's text. */
function inTextOf(documents: readonly KeyedDocument[], { offsets, lists }: Rows): Uint8Array {
  const inText = bitmapFor(lists.length);
  documents.forEach(({ item }, docId) => {
    if (!item.pieces) return;
    const pieces = new Set(item.pieces);
    for (let p = offsets[docId]!; p < offsets[docId + 1]!; p++) if (pieces.has(lists[p]!)) setBit(inText, p);
  });
  return inText;
}

function lexicalOf(documents: readonly KeyedDocument[]): Pick<SegmentContent, 'lexical' | 'words'> {
  const most = documents.reduce((sum, { item }) => sum + item.words.length, 0);
  const numbers = new Map<string, number>();
  const offsets = new Uint32Array(documents.length + 1);
  const lists = new Uint32Array(most);
  const values = new Uint8Array(most);
  /** By word: its entry in the row under construction, if that lies at or after the row's start. */
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
      lists[next] = number;
      values[next++] = 1;
    }
    offsets[docId + 1] = next;
  });
  const sorted = sortUtf8([...numbers.keys()]);
  const numbering = new Uint32Array(sorted.length);
  sorted.forEach((word, list) => {
    numbering[numbers.get(word)!] = list;
  });
  const rows = { offsets, lists: lists.subarray(0, next), values: values.subarray(0, next) };
  return { lexical: () => buildPostingLists(rows, sorted.length, numbering), words: encodeStrings(sorted) };
}

/** Place of each id among all of them in UTF-16 order. */
export function ranksOf(ids: readonly string[]): Uint32Array {
  const byId = Uint32Array.from(ids.keys()).sort((a, b) => (ids[a]! < ids[b]! ? -1 : 1));
  const ranks = new Uint32Array(ids.length);
  byId.forEach((docId, rank) => {
    ranks[docId] = rank;
  });
  return ranks;
}
