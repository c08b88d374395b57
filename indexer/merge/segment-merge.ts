import { bitmapFor, isBitSet, isLive, setBit } from '../format/bitmap.ts';
import type { PartKind } from '../format/parts.ts';
import { StringCollector } from '../format/string-table.ts';
import { allocateDense, type DenseDraft } from '../segment/dense-vectors.ts';
import { allocateForward, type ForwardDraft } from '../segment/forward-index.ts';
import { inverse, type Segment } from '../segment/segment.ts';
import { buildSegment, type SegmentContent, type SegmentHeaderMaker } from '../segment/segment-writer.ts';
import type { IndexView } from '../store/index-view.ts';
import type { FilterField } from '../types.ts';
import { mergeColumns, type Origins } from './merge-columns.ts';
import { mergeLists, usedLists } from './merge-lists.ts';
import { DROPPED, MergeQueue, mergeStrings } from './merge-strings.ts';
import { reorderDocuments } from './reorder.ts';

/** A segment to merge and which of its documents to keep (bit set = keep; undefined = all). */
interface MergeInput {
  readonly segment: Segment;
  readonly live: Uint8Array | undefined;
}

/** A merge of some segments of a view: decides which documents stay and in which order, and builds the result. */
export class SegmentMerge {
  readonly numbers: readonly number[];
  private readonly inputs: readonly MergeInput[];
  private readonly origins: Origins;
  private readonly filterFields: readonly FilterField[];
  private readonly checkpoint: () => void;

  /**
   * @param reorderFrom size of the result, in documents, from which similar documents are put next to each other
   * @param checkpoint called now and then; may throw to end the merge
   */
  constructor(
    view: IndexView,
    numbers: readonly number[],
    reorderFrom: number,
    checkpoint: () => void = () => {},
  ) {
    const wanted = new Set(numbers);
    this.numbers = numbers;
    this.inputs = view.segments.filter(({ segment }) => wanted.has(segment.number));
    this.filterFields = view.manifest.settings.filterFields;
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
   * @param tombstones by segment, as they are now; an input that is missing has no live document any more
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
 * Everything goes from typed array to typed array: memory is that of the result, plus some bytes per document and per word.
 */
function mergeContent(
  inputs: readonly MergeInput[],
  origins: Origins,
  filterFields: readonly FilterField[],
  checkpoint: () => void,
): SegmentContent {
  const numDocs = origins.docIds.length;
  const segments = inputs.map(({ segment }) => segment);
  const newDocIds = segments.map(({ numDocs }) => new Uint32Array(numDocs).fill(DROPPED));
  const docKeys = new Uint32Array(numDocs);
  const lengths = new Uint32Array(numDocs);
  const ids = new StringCollector(numDocs);
  for (let docId = 0; docId < numDocs; docId++) {
    const input = origins.inputs[docId]!;
    const ownId = origins.docIds[docId]!;
    const segment = segments[input]!;
    newDocIds[input]![ownId] = docId;
    docKeys[docId] = segment.docKeys[ownId]!;
    lengths[docId] = segment.lengths[ownId]!;
    ids.add(segment.ids, ownId);
  }
  const words = mergeStrings(
    segments.map((segment) => segment.words),
    // Drops words that only deleted documents had; nothing else ever removes them.
    inputs.map(({ segment, live }, input) => live && usedLists(segment.wordPostings, newDocIds[input]!)),
  );
  const forward = gatherForward(segments, origins);
  return {
    docKeys,
    ids: ids.encoded(),
    idRanks: mergeIdRanks(segments, newDocIds, numDocs),
    lengths,
    forward,
    dense: gatherDense(segments, origins),
    inText: gatherInText(segments, origins, forward.rows.rowOffsets),
    wordPostings: () =>
      mergeLists(
        segments.map(({ wordPostings }, input) => ({
          lists: wordPostings,
          newListIds: words.newIndexes[input]!,
          newDocIds: newDocIds[input]!,
        })),
        words.count,
        numDocs,
        checkpoint,
      ),
    words: words.encoded,
    fields: filterFields.flatMap((field, i) =>
      mergeColumns(
        field,
        segments.map((segment) => segment.filterColumn(i)),
        origins,
      ),
    ),
  };
}

function gatherForward(segments: readonly Segment[], { inputs, docIds }: Origins): ForwardDraft {
  const numDocs = docIds.length;
  const matrices = segments.map(({ forwardMatrix }) => forwardMatrix);
  let total = 0;
  for (let docId = 0; docId < numDocs; docId++) {
    const { rowOffsets } = matrices[inputs[docId]!]!;
    total += rowOffsets[docIds[docId]! + 1]! - rowOffsets[docIds[docId]!]!;
  }
  const part = allocateForward(numDocs, total);
  const { rowOffsets, columnIds, values } = part.rows;
  let at = 0;
  for (let docId = 0; docId < numDocs; docId++) {
    const own = matrices[inputs[docId]!]!;
    const from = own.rowOffsets[docIds[docId]!]!;
    const to = own.rowOffsets[docIds[docId]! + 1]!;
    columnIds.set(own.columnIds.subarray(from, to), at);
    values.set(own.values.subarray(from, to), at);
    at += to - from;
    rowOffsets[docId + 1] = at;
  }
  return part;
}

/** The dense vectors of the documents; undefined when no segment has any. */
function gatherDense(segments: readonly Segment[], { inputs, docIds }: Origins): DenseDraft | undefined {
  const matrices = segments.map(({ denseVectors }) => denseVectors?.all());
  const first = matrices.find((matrix) => matrix !== undefined);
  if (!first) return undefined;
  const { size } = first;
  const draft = allocateDense(docIds.length, size);
  for (let docId = 0; docId < docIds.length; docId++) {
    const own = matrices[inputs[docId]!];
    if (!own) continue;
    const ownId = docIds[docId]!;
    draft.rows.scales[docId] = own.scales[ownId]!;
    draft.rows.values.set(own.values.subarray(ownId * size, (ownId + 1) * size), docId * size);
  }
  return draft;
}

/** The bits of the gathered vectors, which start at `rowOffsets`. */
function gatherInText(
  segments: readonly Segment[],
  { inputs, docIds }: Origins,
  rowOffsets: Uint32Array,
): Uint8Array {
  const bits = segments.map(({ inText, forwardMatrix }) => ({
    inText,
    rowOffsets: forwardMatrix.rowOffsets,
  }));
  const merged = bitmapFor(rowOffsets.at(-1)!);
  for (let docId = 0; docId < docIds.length; docId++) {
    const own = bits[inputs[docId]!]!;
    const shift = own.rowOffsets[docIds[docId]!]! - rowOffsets[docId]!;
    for (let p = rowOffsets[docId]!; p < rowOffsets[docId + 1]!; p++)
      if (isBitSet(own.inText, p + shift)) setBit(merged, p);
  }
  return merged;
}

/** Ranks of the stored ids among all: each segment is sorted already, so the orders are merged. */
function mergeIdRanks(
  segments: readonly Segment[],
  newDocIds: readonly Uint32Array[],
  numDocs: number,
): Uint32Array {
  const byIdRank = segments.map(({ idRanks }) => inverse(idRanks));
  const cursors = segments.map((_, input) => nextKept(input, 0));
  const heads = segments.map((_, input) => idAt(input));
  const queue = new MergeQueue((a, b) => (heads[a]! < heads[b]! ? -1 : 1));
  segments.forEach(({ numDocs }, input) => {
    if (cursors[input]! < numDocs) queue.add(input);
  });
  const idRanks = new Uint32Array(numDocs);
  for (let rank = 0; rank < numDocs; rank++) {
    const input = queue.first;
    idRanks[newDocIds[input]![byIdRank[input]![cursors[input]!]!]!] = rank;
    cursors[input] = nextKept(input, cursors[input]! + 1);
    heads[input] = idAt(input);
    queue.replaceFirst(cursors[input]! < segments[input]!.numDocs);
  }
  return idRanks;

  function nextKept(input: number, from: number): number {
    const order = byIdRank[input]!;
    let cursor = from;
    while (cursor < order.length && newDocIds[input]![order[cursor]!] === DROPPED) cursor++;
    return cursor;
  }

  function idAt(input: number): string {
    const cursor = cursors[input]!;
    return cursor < segments[input]!.numDocs ? segments[input]!.id(byIdRank[input]![cursor]!) : '';
  }
}
