import { asQuery, encoderHead } from '../encoder/encoder-head.ts';
import { DEFAULT_VECTOR, type ModelConfig, openModel } from '../encoder/model.ts';
import type { TokenSequence } from '../encoder/transformer/batches.ts';
import { InferencePool } from '../encoder/transformer/inference-pool.ts';
import type { ModelWeights } from '../encoder/transformer/weights-file.ts';
import {
  ArenaLayout,
  fillInt8Matrix,
  loadKernels,
  reserveInt8Matrix,
  reserveQuantizedRows,
} from '../kernels/index.ts';
import { randomSource } from '../random.ts';
import { type BenchReport, report, round } from './report.ts';
import { dense, pruned, withVector } from './rerank-inputs.ts';

// The pass over a query's few tokens, one thread: whether it pays to skip weights (patterns of zeros in every product) or inputs
// (the thresholded product of activations, here for the second matrix of the feed-forward part, where GELU leaves many small ones).
// Times are the best of many turns, since other load on the machine can only add time; systems take turns. Pruned weights are made on
// the fly, and which inputs are kept is random: neither changes the time.

export interface QueryPassOptions {
  /** Bundled document encoder or folder; default the bundled one. Without a second output it gets a random one. */
  readonly encoder?: string | undefined;
  /** Tokens of a query, with [CLS] and [SEP]; default 1, 4, 8, 12, 16. */
  readonly tokens?: readonly number[] | undefined;
  /** Turns of each system; default 300. */
  readonly rounds?: number | undefined;
}

export interface QueryPassRow {
  /** `pass`: all layers and the vector; `product`: one product of 1,536 inputs and 384 outputs (sizes of MiniLM). */
  readonly what: 'pass' | 'product';
  readonly system: string;
  readonly tokens: number;
  readonly bestUs: number;
  /** Time of dense int8 divided by the own time. */
  readonly ratio: number;
}

interface System {
  readonly name: string;
  run(tokens: number): unknown;
  close?(): Promise<void>;
}

/** Size of the vector where the model has none. */
const VECTOR_SIZE = 384;
const MOST_TOKENS = 64;
/** Runs of a product per turn: one takes less than the clock's step. */
const PRODUCTS_PER_TURN = 20;

export async function run(options: QueryPassOptions): Promise<BenchReport<QueryPassRow>> {
  const { tokens = [1, 4, 8, 12, 16], rounds = 300 } = options;
  const rows: QueryPassRow[] = [];
  for (const [what, systems, runs] of [
    ['pass', passes(options.encoder), 1],
    ['product', products(), PRODUCTS_PER_TURN],
  ] as const) {
    for (const count of tokens) {
      const best = await takeTurns(systems, count, rounds);
      systems.forEach(({ name: system }, i) => {
        rows.push({
          what,
          system,
          tokens: count,
          bestUs: round(best[i]! / runs, 1),
          ratio: round(best[0]! / best[i]!, 2),
        });
      });
    }
    for (const system of systems) await system.close?.();
  }
  return report(rows);
}

/** @returns the shortest time of each system in microseconds */
async function takeTurns(systems: readonly System[], tokens: number, rounds: number): Promise<number[]> {
  const best = systems.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < rounds; round++)
    for (const [i, system] of systems.entries()) {
      const started = performance.now();
      await system.run(tokens);
      best[i] = Math.min(best[i]!, 1000 * (performance.now() - started));
    }
  return best;
}

/** The whole pass with dense weights and with each pattern. */
function passes(nameOrPath: string | undefined): System[] {
  const { config, ...model } = openModel(nameOrPath);
  const settings = config.winnow.vector ?? { ...DEFAULT_VECTOR, size: VECTOR_SIZE };
  const weights: ModelWeights<ModelConfig> = {
    ...withVector(model.readWeights({ screen: false }), settings.size),
    config: { ...config, winnow: { ...config.winnow, vector: settings } },
  };
  const variants = [
    ['int8 dense', dense(weights)],
    ['int8 8:16', pruned(weights, '8:16')],
    ['int8 4:16', pruned(weights, '4:16')],
    ['int8 4x1 75 %', pruned(weights, '4x1')],
  ] as const;
  return variants.map(([name, variant]) => {
    const pool = InferencePool.create(encoderHead, variant, { threads: 0 });
    return { name, run: (count) => pool.run([queryOf(count, config.vocab_size)]), close: () => pool.close() };
  });
}

const queryOf = (count: number, vocabulary: number): TokenSequence =>
  asQuery(Array.from({ length: count }, (_, i) => (7919 * (i + 1)) % vocabulary));

/** One product: int8 with the quantisation of its inputs, and f32 rows one by one with a share of the inputs above the threshold. */
function products(): System[] {
  const [inputs, outputs] = [1536, 384];
  const library = loadKernels();
  const layout = new ArenaLayout(library.arenaStart);
  const planned = {
    stack: layout.reserve(library.stackBytes),
    x: layout.reserve(4 * MOST_TOKENS * inputs),
    out: layout.reserve(4 * MOST_TOKENS * outputs),
    kept: layout.reserve(4 * inputs),
    quantized: reserveQuantizedRows(layout, MOST_TOKENS, inputs),
    int8: reserveInt8Matrix(layout, outputs, inputs),
    w: layout.reserve(4 * inputs * outputs),
    bias: layout.reserve(4 * outputs),
  };
  const { stack, x, out, kept, quantized, int8, w, bias } = planned;
  const kernels = library.bind(library.newMemory(layout.sizeBytes), stack);
  const random = randomSource(1);
  const values = (count: number) => Float32Array.from({ length: count }, () => random() - 0.5);
  kernels.arena.floats(x, MOST_TOKENS * inputs).set(values(MOST_TOKENS * inputs));
  const data = Int8Array.from({ length: outputs * inputs }, () => 254 * random() - 127);
  fillInt8Matrix(kernels.arena, int8, [{ data, scales: new Float32Array(outputs).fill(0.01) }]);
  kernels.arena.floats(w, inputs * outputs).set(values(inputs * outputs));
  kernels.arena.floats(bias, outputs).fill(0);
  const repeated = (work: () => void) => {
    for (let i = 0; i < PRODUCTS_PER_TURN; i++) work();
  };
  const thresholded = (share: number): System => ({
    name: `f32, ${100 * share} % of the inputs`,
    // |x| is uniform in 0..0.5.
    run: (count) =>
      repeated(() => {
        for (let row = 0; row < count; row++)
          kernels.sparse.gemvThresholded({
            x: x + 4 * row * inputs,
            threshold: 0.5 * (1 - share),
            w,
            bias,
            out: out + 4 * row * outputs,
            kept,
            inputs,
            outputs,
          });
      }),
  });
  return [
    {
      name: 'int8 dense',
      run: (rows) =>
        repeated(() => {
          kernels.rows.quantizeRows({ x, rows, out: quantized });
          kernels.dense.gemmInt8({ input: quantized, rows, weights: int8, out });
        }),
    },
    thresholded(0.5),
    thresholded(0.25),
    thresholded(0.1),
  ];
}
