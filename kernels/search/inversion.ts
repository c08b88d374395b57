import type { KernelBackend } from '../runtime/kernels.ts';
import { loadKernels } from '../runtime/loader.ts';
import {
  countInto,
  quantizeWeightsReference,
  scatterTile,
  summarizeListsReference,
} from './inversion.reference.ts';
import type { PostingDestination, PostingRows, SummarizedLists } from './inversion-types.ts';
import { CHUNK_DOCS } from './layout.ts';
import { postingLayout } from './posting-block.ts';
import type { BuildFunctions } from './search-call.ts';

/** Neighbouring documents of one chunk whose postings are scattered together. */
export interface RowTile {
  readonly firstDoc: number;
  readonly endDoc: number;
  /** Postings by column id. */
  readonly counts: Uint32Array;
}

/** Column ids of rows that a kernel takes are u16. */
const COLUMNS = 1 << 16;
/** Postings of a tile: they take 16 MiB on their way. */
const TILE_POSTINGS = 1 << 22;
/** For fewer postings a kernel's tables of all columns cost more than it saves. */
const FEW_POSTINGS = 1 << 14;

let scratch = new Uint32Array(0);

const kernelsFor = (rows: PostingRows, backend: KernelBackend | undefined) =>
  rows.columnIds instanceof Uint16Array && rows.columnIds.length >= FEW_POSTINGS
    ? loadKernels(backend).build
    : undefined;

/**
 * Turns rows into posting lists, by tiles of neighbouring documents: {@link tiles} says how many postings each column has in each, so that
 * lists can be laid out; {@link scatter} then fills them. The rows must not change in between. All backends give the same bytes.
 */
export class Inversion {
  readonly tiles: readonly RowTile[];
  private readonly rows: PostingRows;
  private readonly kernels: BuildFunctions | undefined;

  /**
   * @param numColumns above all column ids
   * @param backend default: the one that {@link loadKernels} chooses; only native code has kernels for this
   */
  constructor(rows: PostingRows, numColumns: number, backend?: KernelBackend) {
    this.rows = rows;
    this.kernels = kernelsFor(rows, backend);
    const { rowOffsets, columnIds } = rows;
    const numDocs = rowOffsets.length - 1;
    const tiles: RowTile[] = [];
    for (let firstDoc = 0; firstDoc < numDocs; ) {
      const endDoc = this.kernels ? tileEnd(rowOffsets, firstDoc) : chunkEnd(firstDoc, numDocs);
      const [from, to] = [rowOffsets[firstDoc]!, rowOffsets[endDoc]!];
      const counts = new Uint32Array(this.kernels ? COLUMNS : numColumns);
      if (this.kernels) this.kernels.countColumns(columnIds as Uint16Array, from, to, counts);
      else countInto(columnIds, from, to, counts);
      tiles.push({ firstDoc, endDoc, counts });
      firstDoc = endDoc;
    }
    this.tiles = tiles;
  }

  /**
   * Copies the postings of a tile to their lists. Tiles of a chunk are scattered in their order.
   *
   * @param next by column id, where its next posting goes: an index of `localIds`, with room for all postings of the tile, or ~dense column;
   *   moved on
   */
  scatter(tile: RowTile, next: Int32Array, lists: PostingDestination): void {
    const { firstDoc, endDoc, counts } = tile;
    const { rowOffsets, columnIds, values } = this.rows;
    if (!this.kernels) {
      scatterTile(this.rows, firstDoc, endDoc, next, lists);
      return;
    }
    requireRoom(tile, next, lists);
    const words = COLUMNS + rowOffsets[endDoc]! - rowOffsets[firstDoc]!;
    if (scratch.length < words) scratch = new Uint32Array(words);
    const all = next.length < COLUMNS ? new Int32Array(COLUMNS) : next;
    if (all !== next) all.set(next);
    this.kernels.scatterRows(
      rowOffsets,
      columnIds as Uint16Array,
      values,
      firstDoc,
      endDoc,
      counts,
      all,
      lists.localIds,
      lists.values,
      lists.columns,
      lists.columnStride,
      scratch,
    );
    if (all !== next) next.set(all.subarray(0, next.length));
    if (words > COLUMNS + TILE_POSTINGS) scratch = new Uint32Array(0);
  }
}

const chunkEnd = (firstDoc: number, numDocs: number): number =>
  Math.min(numDocs, (Math.floor(firstDoc / CHUNK_DOCS) + 1) * CHUNK_DOCS);

/** At least one document, and others of its chunk up to the size of a tile. */
function tileEnd(rowOffsets: Uint32Array, firstDoc: number): number {
  const last = chunkEnd(firstDoc, rowOffsets.length - 1);
  let endDoc = firstDoc + 1;
  while (endDoc < last && rowOffsets[endDoc + 1]! - rowOffsets[firstDoc]! <= TILE_POSTINGS) endDoc++;
  return endDoc;
}

/** @throws RangeError for a list that would leave its array: the kernel does not check again */
function requireRoom(
  { endDoc, counts }: RowTile,
  next: Int32Array,
  { localIds, values, columns, columnStride }: PostingDestination,
): void {
  for (let column = 0; column < counts.length; column++) {
    if (counts[column] === 0) continue;
    const at = next[column];
    const isInside =
      at !== undefined &&
      (at >= 0
        ? at + counts[column]! <= Math.min(localIds.length, values.length)
        : ~at * columnStride + endDoc <= columns.length);
    if (!isInside) throw new RangeError(`the postings of column ${column} have no room`);
  }
}

/**
 * Rounds weights to impacts: `weight * perImpact + .5` in double precision, at most 255; 0 below 1 and for what is no number.
 *
 * @param impacts receives `count` of them from `at` on
 * @returns how many are 0
 */
export function quantizeWeights(
  weights: Float32Array,
  count: number,
  perImpact: number,
  impacts: Uint8Array,
  at: number,
  backend?: KernelBackend,
): number {
  const quantize = loadKernels(backend).build?.quantizeWeights ?? quantizeWeightsReference;
  return quantize(weights, count, perImpact, impacts, at);
}

/**
 * Sets what a part says of each list: `kthValues[list * ranks.length + i]`, the ranks[i]-th largest value of lists that have at least ranks[0],
 * and `checksums[list]`, CRC-32 of its ids XOR that of its values, or CRC-32 of its column.
 *
 * @param kthValues zeros at first
 */
export function summarizeLists(
  lists: SummarizedLists,
  kthValues: Uint8Array,
  checksums: Uint32Array,
  backend?: KernelBackend,
): void {
  const { build } = loadKernels(backend);
  if (!build) {
    summarizeListsReference(lists, kthValues, checksums);
    return;
  }
  const { block, frequencies, ranks } = lists;
  build.summarizeLists(block.bytes, postingLayout(block), frequencies, ranks, kthValues, checksums);
}
