import { WinnowError } from '../../errors.ts';
import { padTo } from '../dense/int8-matrix.ts';
import { type Arena, checkStarts, MAX_ROWS, requireCount } from '../runtime/arena.ts';
import type { RawKernels } from '../runtime/raw-kernels.ts';

/** Bytes of scratch that {@link AttentionKernels.attend} needs for sequences of at most `longest` tokens. */
export function attentionScratchBytes(longest: number, headSize: number): number {
  const wide = padTo(headSize, 32);
  return 4 * ((2 * wide + 32) * padTo(longest, 32) + 32 * wide);
}

/** Operands of {@link AttentionKernels}: byte offsets of qkv[T][3 * heads * headSize] and out[T][heads * headSize]. */
export interface AttentionCall {
  readonly qkv: number;
  /** i32[sequences + 1]: the row range of each sequence. */
  readonly starts: number;
  readonly sequences: number;
  /** Only the first rows of each sequence, at most so many, attend and are written; default: all. */
  readonly queries?: number;
  readonly heads: number;
  /** A multiple of 16, at most 1024. */
  readonly headSize: number;
  readonly out: number;
  /** {@link attentionScratchBytes} for the longest sequence. */
  readonly scratch: number;
}

/** Multi-head self-attention of a ragged batch; offsets and sizes are checked as in {@link Kernels}. */
export class AttentionKernels {
  readonly #arena: Arena;
  readonly #raw: RawKernels;

  constructor(arena: Arena, raw: RawKernels) {
    this.#arena = arena;
    this.#raw = raw;
  }

  /** In f32. */
  attend(call: AttentionCall): void {
    this.#raw.attention(this.#checked(call));
  }

  /**
   * The same within 4e-3 of the largest result: queries, keys, values and weights are rounded to i16, scaled by head.
   * 1.2 to 1.5 times as fast on the vector units; on AMX it is {@link attend}, whose tiles are faster still.
   */
  attendInt16(call: AttentionCall): void {
    this.#raw.attention_int16(this.#checked(call));
  }

  #checked({ qkv, starts, sequences, queries = MAX_ROWS, heads, headSize, out, scratch }: AttentionCall) {
    requireCount('queries', queries, 1, MAX_ROWS);
    requireCount('heads', heads, 1, 1024);
    requireCount('headSize', headSize, 16, 1024);
    if (headSize % 16 !== 0) {
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `head size ${headSize} is not a multiple of 16`);
    }
    const rows = checkStarts(this.#arena, starts, sequences, MAX_ROWS);
    const offsets = this.#arena.ints(starts, sequences + 1);
    let longest = 0;
    for (let d = 0; d < sequences; d++) longest = Math.max(longest, offsets[d + 1]! - offsets[d]!);
    this.#arena.require('qkv', qkv, 12 * rows * heads * headSize, 4);
    this.#arena.require('out', out, 4 * rows * heads * headSize, 4);
    this.#arena.require('scratch', scratch, attentionScratchBytes(longest, headSize), 4);
    return { qkv, starts, out, scratch, sequences, queries, heads, size: headSize };
  }
}
