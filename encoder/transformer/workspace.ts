import {
  type ArenaLayout,
  attentionScratchBytes,
  block4ScratchBytes,
  type ColumnSpread,
  padTo,
  type QuantizedRows,
  reserveQuantizedRows,
} from '../../kernels/index.ts';
import { allLayers, type BodyWeights, type SplitProduct } from './body-weights.ts';

/** What one batch may hold. */
export interface BatchLimits {
  /** Tokens of all sequences together. */
  readonly tokens: number;
  readonly sequences: number;
}

/**
 * Activations of one thread in the arena; all f32 row-major unless stated. T = tokens of a full batch, H = hidden size,
 * I = intermediate size.
 */
export interface BodyWorkspace {
  readonly limits: BatchLimits;
  /** i32[T] each. */
  readonly tokenIds: number;
  readonly positionIds: number;
  readonly tokenTypeIds: number;
  /** i32[sequences + 1]: first row of each sequence. */
  readonly starts: number;
  /** [T][H], the residual stream; the result of the body. */
  readonly hidden: number;
  /** [T]: the stream as the product of queries, keys and values takes it; {@link viewFor} fits it to a layer. */
  readonly hiddenQuantized: QuantizedRows;
  /** The same memory with one byte per channel, as a head takes it. */
  readonly finalQuantized: QuantizedRows;
  /** [max(GROUP_ROWS, longest sequence)][3 H] */
  readonly queryKeyValue: number;
  /** i32[sequences + 1]: the row ranges of a group, counted from its first row. */
  readonly groupStarts: number;
  /** The first rows of a body that computes no others in its last layer. */
  readonly firstRows: FirstRows | undefined;
  /** [T][H] */
  readonly context: number;
  readonly attentionScratch: number;
  /** [CHUNK_ROWS][H]: outputs of the products that are added to the stream. A head may use it. */
  readonly chunkHidden: number;
  readonly contextQuantized: QuantizedRows;
  /** [CHUNK_ROWS]: inputs of the feed-forward part. */
  readonly chunkQuantized: QuantizedRows;
  /** [CHUNK_ROWS][I] */
  readonly chunkIntermediate: number;
  readonly intermediateQuantized: QuantizedRows;
  /** For the products with 4x1 blocks. */
  readonly blockScratch: number;
}

/** Inputs and outputs of the product that gives the queries of the first rows. */
export interface FirstRows {
  /** [sequences] */
  readonly quantized: QuantizedRows;
  /** [sequences][H] */
  readonly queries: number;
}

/** Rows that pass through the feed-forward part at once: its f32 buffer (128 x 1536 x 4 B) stays in a 1 MiB L2. */
const CHUNK_ROWS = 128;

/**
 * Rows whose queries, keys and values exist at once, in whole sequences: 256 x 1152 x 4 B leave room for the weights in an
 * L2 of 2 MiB, and a longer sequence is a group of its own.
 */
const GROUP_ROWS = 256;

/** Reserves the workspace of one thread. */
export function planWorkspace(layout: ArenaLayout, weights: BodyWeights, limits: BatchLimits): BodyWorkspace {
  const { hiddenSize: hidden, intermediateSize: inner, maxPositions } = weights;
  const { tokens, sequences } = limits;
  const longest = Math.min(tokens, maxPositions);
  const mostExtra = (product: SplitProduct) =>
    Math.max(0, ...allLayers(weights).map(({ outlierSplits }) => outlierSplits[product]?.extra ?? 0));
  const hiddenQuantized = reserveQuantizedRows(layout, tokens, hidden + mostExtra('queryKeyValue'));
  return {
    limits,
    tokenIds: layout.reserve(4 * tokens),
    positionIds: layout.reserve(4 * tokens),
    tokenTypeIds: layout.reserve(4 * tokens),
    starts: layout.reserve(4 * (sequences + 1)),
    hidden: layout.reserve(4 * tokens * hidden),
    hiddenQuantized,
    finalQuantized: viewFor(hiddenQuantized, hidden, undefined),
    queryKeyValue: layout.reserve(12 * Math.min(tokens, Math.max(GROUP_ROWS, longest)) * hidden),
    groupStarts: layout.reserve(4 * (sequences + 1)),
    firstRows: weights.firstRowsLayer && {
      quantized: reserveQuantizedRows(layout, sequences, hidden + mostExtra('queryKeyValue')),
      queries: layout.reserve(4 * sequences * hidden),
    },
    context: layout.reserve(4 * tokens * hidden),
    attentionScratch: layout.reserve(attentionScratchBytes(longest, hidden / weights.attentionHeads)),
    chunkHidden: layout.reserve(4 * CHUNK_ROWS * hidden),
    contextQuantized: reserveQuantizedRows(layout, CHUNK_ROWS, hidden),
    chunkQuantized: reserveQuantizedRows(layout, CHUNK_ROWS, hidden + mostExtra('intermediate')),
    chunkIntermediate: layout.reserve(4 * CHUNK_ROWS * inner),
    intermediateQuantized: reserveQuantizedRows(layout, CHUNK_ROWS, inner + mostExtra('output')),
    blockScratch: layout.reserve(
      block4ScratchBytes(
        Math.max(
          hidden + mostExtra('queryKeyValue'),
          hidden + mostExtra('intermediate'),
          inner + mostExtra('output'),
        ),
      ),
    ),
  };
}

/**
 * Rows of quantised values with as many bytes as a split needs: layers share the memory, which was reserved for the widest.
 *
 * @param columns f32 values of a row
 */
export function viewFor(
  rows: QuantizedRows,
  columns: number,
  split: ColumnSpread | undefined,
): QuantizedRows {
  const bytes = columns + (split?.extra ?? 0);
  return { ...rows, columns: bytes, stride: padTo(bytes, 16) };
}

/** Calls `step(first, rows)` over 0..total in pieces of at most CHUNK_ROWS. */
export function inChunks(total: number, step: (first: number, rows: number) => void): void {
  for (let first = 0; first < total; first += CHUNK_ROWS) step(first, Math.min(CHUNK_ROWS, total - first));
}

/**
 * Calls `step` over groups of whole sequences: at most GROUP_ROWS rows together, or one sequence that is longer.
 *
 * @param lengths tokens of each sequence; `step` gets those of its group
 */
export function inGroups(
  lengths: readonly number[],
  step: (first: number, rows: number, lengths: readonly number[]) => void,
): void {
  let first = 0;
  let group: number[] = [];
  let rows = 0;
  for (const length of lengths) {
    if (group.length > 0 && rows + length > GROUP_ROWS) {
      step(first, rows, group);
      first += rows;
      [rows, group] = [0, []];
    }
    group.push(length);
    rows += length;
  }
  step(first, rows, group);
}
