import { createHash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { syncFolder } from '../../../durable-files.ts';
import { WinnowError } from '../../../errors.ts';
import type { TokenSequence } from '../../transformer/batches.ts';
import { rowsOf } from '../../transformer/body.ts';
import type { TransformerConfig } from '../../transformer/config.ts';
import type { Head } from '../../transformer/head.ts';
import { InferencePool } from '../../transformer/inference-pool.ts';
import type { ModelWeights } from '../../transformer/weights-file.ts';

/**
 * The body's last rows in bf16: the upper 16 bits of f32, rounded to even. Their error, 2^-9, is below that of the 7 bits in which the
 * product hands rows on.
 */
export const statesHead: Head<
  Uint16Array,
  TransformerConfig,
  undefined,
  undefined,
  { readonly lengths: Int32Array; readonly states: Uint16Array }
> = {
  workerEntry: 'encoder/training/data/states-worker',
  lastRows: 'all',
  maxBatchSequences: 32,
  planWeights: () => undefined,
  planWorkspace: () => undefined,
  run: (kernels, states) =>
    Array.from({ length: states.sequences }, (_, i) => toBf16(rowsOf(kernels, states, i))),
  pack(results) {
    const states = new Uint16Array(results.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const one of results) {
      states.set(one, at);
      at += one.length;
    }
    return { lengths: Int32Array.from(results, ({ length }) => length), states };
  },
  unpack({ lengths, states }) {
    let at = 0;
    return Array.from(lengths, (length) => {
      at += length;
      return states.subarray(at - length, at);
    });
  },
};

function toBf16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = (bits[i]! + 0x7fff + ((bits[i]! >>> 16) & 1)) >>> 16;
  return out;
}

/** Sequences that are computed between two reports of progress. */
const BLOCK_SEQUENCES = 128;

export interface StateOptions {
  /** Layers that run; the rows after the last of them are kept. */
  readonly layers: number;
  /** Keep the first row of each sequence alone. */
  readonly firstRows: boolean;
  readonly folder: string;
  readonly threads: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: (done: number) => void;
}

/**
 * What the frozen lower part of the body makes of each sequence, computed once with the product's own kernels and kept in a file: 2 H bytes
 * per token, which the system's cache holds as far as memory is free.
 */
export class StateCache {
  readonly #descriptor: number;
  /** First row of each sequence, and the end. */
  readonly #firstRows: Float64Array;
  readonly #hiddenSize: number;

  private constructor(path: string, firstRows: Float64Array, hiddenSize: number) {
    this.#descriptor = openSync(path, 'r');
    this.#firstRows = firstRows;
    this.#hiddenSize = hiddenSize;
  }

  /**
   * Computes the states, or opens those that an earlier process left in the folder for the same model and sequences.
   *
   * @throws WinnowError WINNOW_STORAGE; the signal's reason
   */
  static async open(
    model: ModelWeights,
    identity: string,
    sequences: readonly TokenSequence[],
    options: StateOptions,
  ): Promise<StateCache> {
    const { hidden_size: H } = model.config;
    const firstRows = new Float64Array(sequences.length + 1);
    sequences.forEach(({ ids }, i) => {
      firstRows[i + 1] = firstRows[i]! + (options.firstRows ? 1 : ids.length);
    });
    const hash = createHash('sha256').update(JSON.stringify([identity, options.layers, options.firstRows]));
    for (const { ids, typeIds } of sequences)
      hash.update(Uint16Array.from(ids)).update(Uint8Array.from(typeIds ?? []));
    const path = join(options.folder, `states-${hash.digest('hex').slice(0, 16)}.bf16`);
    if (!existsSync(path)) await writeStates(path, model, sequences, options);
    return new StateCache(path, firstRows, H);
  }

  /** Rows of sequence `index`. */
  rows(index: number): number {
    return this.#firstRows[index + 1]! - this.#firstRows[index]!;
  }

  /** Reads the states of sequence `index`. @param into f32[rows][H] */
  load(index: number, into: Float32Array): void {
    const bytes = new Uint8Array(2 * into.length);
    const at = 2 * this.#firstRows[index]! * this.#hiddenSize;
    if (readSync(this.#descriptor, bytes, 0, bytes.length, at) !== bytes.length)
      throw new WinnowError('WINNOW_STORAGE', 'the file of states is cut short', {
        place: 'checkpointFolder',
        hint: 'delete the files states-*.bf16: they are computed again',
      });
    const halves = new Uint16Array(bytes.buffer);
    const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
    for (let i = 0; i < bits.length; i++) bits[i] = halves[i]! << 16;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

async function writeStates(
  path: string,
  { config, tensors }: ModelWeights,
  sequences: readonly TokenSequence[],
  { layers, firstRows, threads, signal, onProgress }: StateOptions,
): Promise<void> {
  const pool = InferencePool.create(
    statesHead,
    { config: { ...config, num_hidden_layers: layers }, tensors },
    { threads },
  );
  const partial = `${path}.partial`;
  const descriptor = openSync(partial, 'w');
  let isWhole = false;
  try {
    for (let first = 0; first < sequences.length; first += BLOCK_SEQUENCES) {
      const block = sequences.slice(first, first + BLOCK_SEQUENCES);
      for (const states of await pool.run(block, { signal })) {
        const kept = firstRows ? states.subarray(0, config.hidden_size) : states;
        const bytes = new Uint8Array(kept.buffer, kept.byteOffset, kept.byteLength);
        for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      }
      onProgress(Math.min(sequences.length, first + BLOCK_SEQUENCES));
    }
    fsyncSync(descriptor);
    isWhole = true;
  } finally {
    closeSync(descriptor);
    if (!isWhole) rmSync(partial, { force: true });
    await pool.close();
  }
  renameSync(partial, path);
  syncFolder(dirname(path));
}
