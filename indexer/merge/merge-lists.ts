import { CHUNK_BITS, NOT_DENSE } from '../../kernels/search/layout.ts';
import { chunksOf } from '../postings/posting-list-layout.ts';
import type { PostingLists } from '../postings/posting-list-reader.ts';
import { type BuiltLists, draftLists } from '../postings/posting-list-writer.ts';
import { DROPPED } from './merge-strings.ts';

export interface ListsInput {
  readonly lists: PostingLists;
  /** New id of each list, ascending, or DROPPED. */
  readonly newListIds: Uint32Array;
  /** New id of each document, or DROPPED. */
  readonly newDocIds: Uint32Array;
}

/** Lists between two calls of a checkpoint, less one; a power of two less one. */
const CHECKPOINT_MASK = 1023;

/** By list of an input: 1 when a document of it stays. @param newDocIds as in {@link ListsInput} */
export function usedLists(lists: PostingLists, newDocIds: Uint32Array): Uint8Array {
  const used = new Uint8Array(lists.numLists);
  const found = allocateFound(lists.numDocs);
  for (let listId = 0; listId < lists.numLists; listId++)
    used[listId] = gather(lists, listId, newDocIds, found, 0) > 0 ? 1 : 0;
  return used;
}

/**
 * Joins posting lists list by list, so that memory is the result and one list, not all postings as rows.
 *
 * @param checkpoint called now and then; may throw to end the merge
 * @throws WinnowError WINNOW_INDEX_CORRUPT when a list's checksum is wrong
 */
export function mergeLists(
  inputs: readonly ListsInput[],
  numLists: number,
  numDocs: number,
  checkpoint: () => void,
): BuiltLists {
  const numChunks = chunksOf(numDocs);
  const counts = new Uint32Array(numLists * numChunks + 1);
  const found = allocateFound(numDocs);
  forEachMerged(inputs, numLists, found, (listId, count) => {
    if ((listId & CHECKPOINT_MASK) === 0) checkpoint();
    const firstChunk = listId * numChunks;
    for (let i = 0; i < count; i++) counts[firstChunk + (found.docIds[i]! >> CHUNK_BITS)]!++;
  });
  const draft = draftLists(numDocs, numLists, counts);
  const { starts, denseColumnOf, localIds, values, columns, columnStride } = draft;
  const packed = numDocs <= 1 << 24 ? new Uint32Array(numDocs) : new Float64Array(numDocs);
  forEachMerged(inputs, numLists, found, (listId, count, isAscending) => {
    if ((listId & CHECKPOINT_MASK) === 0) checkpoint();
    const denseColumn = denseColumnOf[listId]!;
    if (denseColumn !== NOT_DENSE) {
      const start = denseColumn * columnStride;
      for (let i = 0; i < count; i++) columns[start + found.docIds[i]!] = found.values[i]!;
      return;
    }
    if (!isAscending) sortByDocId(found, count, packed);
    // The chunks of a list follow one another, so ascending documents fill them in order.
    let at = starts[listId * numChunks]!;
    for (let i = 0; i < count; i++, at++) {
      localIds[at] = found.docIds[i]!; // keeps the low 16 bits
      values[at] = found.values[i]!;
    }
  });
  return draft.finish();
}

/** Postings of one merged list. */
interface Found {
  readonly docIds: Uint32Array;
  readonly values: Uint8Array;
}

const allocateFound = (numDocs: number): Found => ({
  docIds: new Uint32Array(numDocs),
  values: new Uint8Array(numDocs),
});

/** Visits the new lists in order with their postings in `found`. */
function forEachMerged(
  inputs: readonly ListsInput[],
  numLists: number,
  found: Found,
  visit: (listId: number, count: number, isAscending: boolean) => void,
): void {
  const cursors = inputs.map(() => 0);
  for (let listId = 0; listId < numLists; listId++) {
    let count = 0;
    for (let i = 0; i < inputs.length; i++) {
      const { lists, newListIds, newDocIds } = inputs[i]!;
      let own = cursors[i]!;
      while (own < newListIds.length && newListIds[own] === DROPPED) own++;
      cursors[i] = own;
      if (newListIds[own] !== listId) continue;
      cursors[i] = own + 1;
      count = gather(lists, own, newDocIds, found, count);
    }
    let isAscending = true;
    for (let i = 1; i < count && isAscending; i++) isAscending = found.docIds[i]! > found.docIds[i - 1]!;
    visit(listId, count, isAscending);
  }
}

/** Appends the postings of a list that stay, under their new docIds. @returns how many `found` holds then */
function gather(
  lists: PostingLists,
  listId: number,
  newDocIds: Uint32Array,
  found: Found,
  from: number,
): number {
  lists.verify(listId);
  let count = from;
  const denseColumn = lists.denseColumnOf[listId]!;
  if (denseColumn !== NOT_DENSE) {
    const start = denseColumn * lists.columnStride;
    for (let docId = 0; docId < lists.numDocs; docId++) {
      const value = lists.columns[start + docId]!;
      const newDocId = newDocIds[docId]!;
      if (value === 0 || newDocId === DROPPED) continue;
      found.docIds[count] = newDocId;
      found.values[count++] = value;
    }
    return count;
  }
  for (let chunk = 0; chunk < lists.numChunks; chunk++) {
    const listChunk = listId * lists.numChunks + chunk;
    const end = lists.starts[listChunk + 1]!;
    const firstDoc = chunk << CHUNK_BITS;
    for (let p = lists.starts[listChunk]!; p < end; p++) {
      const newDocId = newDocIds[firstDoc + lists.localIds[p]!]!;
      if (newDocId === DROPPED) continue;
      found.docIds[count] = newDocId;
      found.values[count++] = lists.values[p]!;
    }
  }
  return count;
}

/** @param packed space for `count` numbers of docId * 256 + value, which a native sort can order */
function sortByDocId({ docIds, values }: Found, count: number, packed: Uint32Array | Float64Array): void {
  for (let i = 0; i < count; i++) packed[i] = docIds[i]! * 256 + values[i]!;
  packed.subarray(0, count).sort();
  for (let i = 0; i < count; i++) {
    const both = packed[i]!;
    docIds[i] = both / 256;
    values[i] = both;
  }
}
