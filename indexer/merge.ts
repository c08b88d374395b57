import { mergeColumns, type Origins } from './filter-columns.ts';
import { bitmapFor, isBitSet, type PartKind, setBit } from './format.ts';
import type { Generation } from './generation.ts';
import { mergeLists, usedLists } from './merge-lists.ts';
import { DROPPED, MergeQueue, mergeStrings } from './merge-strings.ts';
import { reorderDocuments } from './reorder.ts';
import { inverse, type Segment } from './segment.ts';
import {
  allocateForward,
  buildSegment,
  type SegmentContent,
  type SegmentHeaderMaker,
} from './segment-builder.ts';
import { StringCollector } from './string-table.ts';
import type { FilterField } from './types.ts';

/** A segment to merge and which of its documents to keep (bit set = keep; undefined = all). */
interface MergeInput {
  readonly segment: Segment;
  readonly live: Uint8Array | undefined;
}

export const isLive = (live: Uint8Array | undefined, docId: number): boolean =>
  live === undefined || isBitSet(live, docId);

/** A merge of some segments of a generation: decides which documents stay and in which order, and builds the result. */
export class SegmentMerge {
  readonly numbers: readonly number[];
  private readonly inputs: readonly MergeInput[];
  private readonly origins: Origins;
  private readonly filterFields: readonly FilterField[];
  private readonly checkpoint: () => void;

  /**
   * @param reorderFrom size of the result, in documents, from which similar documents are put next to each other
   * @param checkpoint called now and then; may throw to break the merge off
   */
  constructor(
    generation: Generation,
    numbers: readonly number[],
    reorderFrom: number,
    checkpoint: () => void = () => {},
  ) {
    const wanted = new Set(numbers);
    this.numbers = numbers;
    this.inputs = generation.segments.filter(({ segment }) => wanted.has(segment.number));
    this.filterFields = generation.manifest.settings.filterFields;
    this.checkpoint = checkpoint;
    const origins = survivors(this.inputs);
    this.origins =
      origins.docIds.length >= reorderFrom ? reordered(this.inputs, origins, checkpoint) : origins;
  }

  /** Documents of the result. */
  get numDocs(): number {
    return this.origins.docIds.length;
  }

  /** @param put as in {@link buildSegment}; nothing is put when no document stays */
  build(put: (kind: PartKind, bytes: Uint8Array) => void): SegmentHeaderMaker {
    if (this.numDocs === 0) return () => new Uint8Array(0);
    return buildSegment(mergeContent(this.inputs, this.origins, this.filterFields, this.checkpoint), put);
  }

  /**
   * Keys of documents of the result that were deleted since the merge began.
   *
   * @param tombstones by segment, as they are now; an input that is missing was emptied
   */
  deletedSince(tombstones: ReadonlyMap<number, Uint8Array>): number[] {
    const docKeys: number[] = [];
    for (const { segment, live } of this.inputs) {
      const now = tombstones.get(segment.number);
      for (let docId = 0; docId < segment.numDocs; docId++) {
        const deleted = now === undefined || isBitSet(now, docId);
        if (deleted && isLive(live, docId)) docKeys.push(segment.docKeys[docId]!);
      }
    }
    return docKeys;
  }
}

/** The documents that stay, segment by segment in docId order. */
function survivors(inputs: readonly MergeInput[]): Origins {
  const total = inputs.reduce((sum, { segment }) => sum + segment.numDocs, 0);
  const origins = { inputs: new Uint16Array(total), docIds: new Uint32Array(total) };
  let count = 0;
  inputs.forEach(({ segment, live }, input) => {
    for (let docId = 0; docId < segment.numDocs; docId++) {
      if (!isLive(live, docId)) continue;
      origins.inputs[count] = input;
      origins.docIds[count++] = docId;
    }
  });
  return { inputs: origins.inputs.subarray(0, count), docIds: origins.docIds.subarray(0, count) };
}

/** The same documents with similar ones next to each other. */
function reordered(inputs: readonly MergeInput[], origins: Origins, checkpoint: () => void): Origins {
  const segments = inputs.map(({ segment }) => segment);
  return inOrder(origins, reorderDocuments(gatherForward(segments, origins).rows, checkpoint));
}

/** Puts documents into another order: `order[newDocId]` is an index into `origins`. */
function inOrder(origins: Origins, order: Uint32Array): Origins {
  const sorted = { inputs: new Uint16Array(order.length), docIds: new Uint32Array(order.length) };
  for (let docId = 0; docId < order.length; docId++) {
    sorted.inputs[docId] = origins.inputs[order[docId]!]!;
    sorted.docIds[docId] = origins.docIds[order[docId]!]!;
  }
  return sorted;
}

/**
 * Joins documents of several segments into the content of one.
 *
 * Everything goes from typed array to typed array: memory is that of the result, plus some bytes a document and a word.
 */
function mergeContent(
  inputs: readonly MergeInput[],
  origins: Origins,
  filterFields: readonly FilterField[],
  checkpoint: () => void,
): SegmentContent {
  const numDocs = origins.docIds.length;
  const segments = inputs.map(({ segment }) => segment);
  const docIds = segments.map(({ numDocs }) => new Uint32Array(numDocs).fill(DROPPED));
  const docKeys = new Uint32Array(numDocs);
  const lengths = new Uint32Array(numDocs);
  const ids = new StringCollector(numDocs);
  for (let docId = 0; docId < numDocs; docId++) {
    const input = origins.inputs[docId]!;
    const ownId = origins.docIds[docId]!;
    const segment = segments[input]!;
    docIds[input]![ownId] = docId;
    docKeys[docId] = segment.docKeys[ownId]!;
    lengths[docId] = segment.lengths[ownId]!;
    ids.add(segment.ids, ownId);
  }
  const words = mergeStrings(
    segments.map((segment) => segment.words),
    // Words that only deleted documents had would stay for ever.
    inputs.map(({ segment, live }, input) => live && usedLists(segment.lexical, docIds[input]!)),
  );
  const forward = gatherForward(segments, origins);
  return {
    docKeys,
    ids: ids.encoded(),
    ranks: mergeRanks(segments, docIds, numDocs),
    lengths,
    forward,
    inText: gatherInText(segments, origins, forward.rows.offsets),
    lexical: () =>
      mergeLists(
        segments.map(({ lexical }, input) => ({
          lists: lexical,
          listNumbers: words.numbers[input]!,
          docIds: docIds[input]!,
        })),
        words.count,
        numDocs,
        checkpoint,
      ),
    words: words.encoded,
    fields: filterFields.flatMap((field, i) =>
      mergeColumns(
        field,
        segments.map((segment) => segment.column(i)),
        origins,
      ),
    ),
  };
}

function gatherForward(segments: readonly Segment[], { inputs, docIds }: Origins): SegmentContent['forward'] {
  const numDocs = docIds.length;
  const rows = segments.map(({ forward }) => forward);
  let total = 0;
  for (let docId = 0; docId < numDocs; docId++) {
    const { offsets } = rows[inputs[docId]!]!;
    total += offsets[docIds[docId]! + 1]! - offsets[docIds[docId]!]!;
  }
  const part = allocateForward(numDocs, total);
  const { offsets, lists, values } = part.rows;
  let at = 0;
  for (let docId = 0; docId < numDocs; docId++) {
    const own = rows[inputs[docId]!]!;
    const from = own.offsets[docIds[docId]!]!;
    const to = own.offsets[docIds[docId]! + 1]!;
    lists.set(own.lists.subarray(from, to), at);
    values.set(own.values.subarray(from, to), at);
    at += to - from;
    offsets[docId + 1] = at;
  }
  return part;
}

/** Marks of the gathered vectors, which start at `offsets`. */
function gatherInText(
  segments: readonly Segment[],
  { inputs, docIds }: Origins,
  offsets: Uint32Array,
): Uint8Array {
  const marks = segments.map((segment) => ({ from: segment.inText, offsets: segment.forward.offsets }));
  const inText = bitmapFor(offsets.at(-1)!);
  for (let docId = 0; docId < docIds.length; docId++) {
    const own = marks[inputs[docId]!]!;
    const shift = own.offsets[docIds[docId]!]! - offsets[docId]!;
    for (let p = offsets[docId]!; p < offsets[docId + 1]!; p++)
      if (isBitSet(own.from, p + shift)) setBit(inText, p);
  }
  return inText;
}

/** Ranks of the ids among all: each segment knows its own order, so the orders are merged. */
function mergeRanks(
  segments: readonly Segment[],
  docIds: readonly Uint32Array[],
  numDocs: number,
): Uint32Array {
  const byRank = segments.map(({ ranks }) => inverse(ranks));
  const cursors = segments.map((_, input) => nextKept(input, 0));
  const heads = segments.map((_, input) => idAt(input));
  const queue = new MergeQueue((a, b) => (heads[a]! < heads[b]! ? -1 : 1));
  segments.forEach(({ numDocs }, input) => {
    if (cursors[input]! < numDocs) queue.add(input);
  });
  const ranks = new Uint32Array(numDocs);
  for (let rank = 0; rank < numDocs; rank++) {
    const input = queue.first;
    ranks[docIds[input]![byRank[input]![cursors[input]!]!]!] = rank;
    cursors[input] = nextKept(input, cursors[input]! + 1);
    heads[input] = idAt(input);
    queue.replaceFirst(cursors[input]! < segments[input]!.numDocs);
  }
  return ranks;

  function nextKept(input: number, from: number): number {
    const order = byRank[input]!;
    let cursor = from;
    while (cursor < order.length && docIds[input]![order[cursor]!] === DROPPED) cursor++;
    return cursor;
  }

  function idAt(input: number): string {
    const cursor = cursors[input]!;
    return cursor < segments[input]!.numDocs ? segments[input]!.id(byRank[input]![cursor]!) : '';
  }
}
