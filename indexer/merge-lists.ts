import { CHUNK_BITS } from './format.ts';
import { DROPPED } from './merge-strings.ts';
import { type BuiltLists, chunksOf, draftLists, NOT_DENSE, type PostingLists } from './posting-lists.ts';

export interface ListsInput {
  readonly lists: PostingLists;
  /** New number of each list, rising, or DROPPED. */
  readonly listNumbers: Uint32Array;
  /** New number of each document, or DROPPED. */
  readonly docIds: Uint32Array;
}

/** Which lists of an input have a document that stays. @param docIds as in {@link ListsInput} */
export function usedLists(lists: PostingLists, docIds: Uint32Array): Uint8Array {
  const used = new Uint8Array(lists.numLists);
  const found = { docIds: new Uint32Array(lists.numDocs), values: new Uint8Array(lists.numDocs) };
  for (let list = 0; list < lists.numLists; list++)
    used[list] = gather(lists, list, docIds, found, 0) > 0 ? 1 : 0;
  return used;
}

/**
 * Joins posting lists list by list, so that memory is the result and one list, not all postings as rows.
 *
 * @param checkpoint called now and then; may throw to break the merge off
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
  const found = { docIds: new Uint32Array(numDocs), values: new Uint8Array(numDocs) };
  forEachMerged(inputs, numLists, found, (list, count) => {
    if ((list & 1023) === 0) checkpoint();
    const cell = list * numChunks;
    for (let i = 0; i < count; i++) counts[cell + (found.docIds[i]! >> CHUNK_BITS)]!++;
  });
  const draft = draftLists(numDocs, numLists, counts);
  const { starts, denseSlots, localIds, values, columns, columnStride } = draft;
  const packed = numDocs <= 1 << 24 ? new Uint32Array(numDocs) : new Float64Array(numDocs);
  forEachMerged(inputs, numLists, found, (list, count, rising) => {
    if ((list & 1023) === 0) checkpoint();
    const slot = denseSlots[list]!;
    if (slot !== NOT_DENSE) {
      const column = slot * columnStride;
      for (let i = 0; i < count; i++) columns[column + found.docIds[i]!] = found.values[i]!;
      return;
    }
    if (!rising) sortByDocId(found, count, packed);
    // Chunks of a list lie one after another, so rising documents fill them in order.
    let at = starts[list * numChunks]!;
    for (let i = 0; i < count; i++, at++) {
      localIds[at] = found.docIds[i]!;
      values[at] = found.values[i]!;
    }
  });
  return draft.finish();
}

interface Found {
  readonly docIds: Uint32Array;
  readonly values: Uint8Array;
}

/** Visits the new lists in order with their postings in `found`; `rising` when these are already sorted. */
function forEachMerged(
  inputs: readonly ListsInput[],
  numLists: number,
  found: Found,
  visit: (list: number, count: number, rising: boolean) => void,
): void {
  const cursors = inputs.map(() => 0);
  for (let list = 0; list < numLists; list++) {
    let count = 0;
    for (let i = 0; i < inputs.length; i++) {
      const { lists, listNumbers, docIds } = inputs[i]!;
      let own = cursors[i]!;
      while (own < listNumbers.length && listNumbers[own] === DROPPED) own++;
      cursors[i] = own;
      if (listNumbers[own] !== list) continue;
      cursors[i] = own + 1;
      count = gather(lists, own, docIds, found, count);
    }
    let rising = true;
    for (let i = 1; i < count && rising; i++) rising = found.docIds[i]! > found.docIds[i - 1]!;
    visit(list, count, rising);
  }
}

/** Appends the kept postings of a list under their new numbers. @returns how many `found` holds then */
function gather(
  lists: PostingLists,
  list: number,
  newDocIds: Uint32Array,
  found: Found,
  from: number,
): number {
  lists.verify(list);
  let count = from;
  const slot = lists.denseSlots[list]!;
  if (slot !== NOT_DENSE) {
    const base = slot * lists.columnStride;
    for (let docId = 0; docId < lists.numDocs; docId++) {
      const value = lists.columns[base + docId]!;
      const moved = newDocIds[docId]!;
      if (value === 0 || moved === DROPPED) continue;
      found.docIds[count] = moved;
      found.values[count++] = value;
    }
    return count;
  }
  for (let chunk = 0; chunk < lists.numChunks; chunk++) {
    const cell = list * lists.numChunks + chunk;
    const end = lists.starts[cell + 1]!;
    const firstDoc = chunk << CHUNK_BITS;
    for (let p = lists.starts[cell]!; p < end; p++) {
      const moved = newDocIds[firstDoc + lists.localIds[p]!]!;
      if (moved === DROPPED) continue;
      found.docIds[count] = moved;
      found.values[count++] = lists.values[p]!;
    }
  }
  return count;
}

/** @param packed room for `count` numbers of docId * 256 + value, which a native sort can order */
function sortByDocId({ docIds, values }: Found, count: number, packed: Uint32Array | Float64Array): void {
  for (let i = 0; i < count; i++) packed[i] = docIds[i]! * 256 + values[i]!;
  packed.subarray(0, count).sort();
  for (let i = 0; i < count; i++) {
    const both = packed[i]!;
    docIds[i] = both / 256;
    values[i] = both;
  }
}
