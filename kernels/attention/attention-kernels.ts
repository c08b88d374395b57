import { WinnowError } from '../../errors.ts';
import { padTo } from '../dense/int8-matrix.ts';
import { type Arena, checkStarts, MAX_ROWS, requireCount } from '../runtime/arena.ts';
import type { RawKernels } from '../runtime/raw-kernels.ts';

/** Bytes of scratch that {@link AttentionKernels.attend} needs for sequences of at most `longest` tokens. */
export function attentionScratchBytes(longest: number, headSize: number): number {
  const wide = padTo(headSize, 32);
  return 4 * ((2 * wide + 32) * padTo(longest, 32) + 32 * wide);
}

/** Multi-head attention; offsets and sizes are checked as in {@link Kernels}. */
export class AttentionKernels {
  readonly #arena: Arena;
  readonly #raw: RawKernels;

  constructor(arena: Arena, raw: RawKernels) {
    this.#arena = arena;
    this.#raw = raw;
  }

  /**
   * Self-attention of a ragged batch: qkv[T][3 * heads * headSize] -> out[T][heads * headSize].
   * `scratch` has {@link attentionScratchBytes} bytes for the longest sequence.
   *
   * @param call.queries only the first rows of each sequence, at most so many, attend and are written; default: all
   */
  attend(call: {
    qkv: number;
    starts: number;
    sequences: number;
    queries?: number;
    heads: number;
    headSize: number;
    out: number;
    scratch: number;
  }): void {
    const { qkv, starts, sequences, queries = MAX_ROWS, heads, headSize, out, scratch } = call;
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
    this.#raw.attention({ qkv, starts, out, scratch, sequences, queries, heads, size: headSize });
  }
}
