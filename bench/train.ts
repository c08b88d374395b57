import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openModel } from '../encoder/model.ts';
import type { BodyScope } from '../encoder/training/engine/body-parameters.ts';
import { Engine } from '../encoder/training/engine/engine.ts';
import { ArenaLayout, GEMM_SCRATCH_BYTES, loadKernels, rowMajor } from '../kernels/index.ts';
import { packageRoot } from '../package-root.ts';
import { childTask, isChild, runChild } from './child.ts';
import { withScratch } from './peer-folder.ts';
import { type BenchReport, report, round } from './report.ts';
import { readTexts } from './texts.ts';

// Training throughput: one forward and backward pass over the same documents, by Winnow's passes and by the PyTorch recipe on the same
// threads. Each system runs in a process of its own and warms up first; systems take turns, and the best round counts. Only real tokens are
// counted: PyTorch computes the padding too. The decoder's forward product is int8 here, as in the product, and f32 there.

export interface TrainBenchOptions {
  /** JSONL of documents with `title` and `text`; every `step`-th is used. */
  readonly corpus: string;
  /** Documents of a batch; default 16. */
  readonly documents?: number;
  /** Tokens of a document at most; default 256. */
  readonly tokens?: number;
  /** Default [1, 2]. */
  readonly threads?: readonly number[];
  readonly rounds?: number;
  /** A Python that has torch; absent: no peer. */
  readonly python?: string;
}

export interface TrainBenchRow {
  readonly system: string;
  readonly threads: number;
  readonly tokensPerSecond: number;
  /** Tokens per second divided by PyTorch's on the same threads; 0 without it. */
  readonly ratio: number;
  /** Share of the f32 multiply-adds per second that a product in the caches reaches on one thread, times the threads. */
  readonly shareOfPeak: number;
  readonly peakMemoryMB: number;
}

const SCOPES = {
  'winnow all': { layers: 6, embeddings: true },
  'winnow channels': { layers: 2, embeddings: false, slice: { channels: 512, heads: 4 } },
  'winnow head': { layers: 0, embeddings: false },
} as const satisfies Readonly<Record<string, BodyScope>>;
type System = keyof typeof SCOPES | 'pytorch all';

const SELF = fileURLToPath(import.meta.url);
/** Terms of a document that get a gradient: about as many as are on. */
const KEPT_TERMS = 256;

interface Task {
  readonly system: keyof typeof SCOPES;
  readonly threads: number;
  readonly rounds: number;
  readonly sequences: readonly (readonly number[])[];
}

interface Outcome {
  readonly seconds: number;
  readonly peakMemoryMB: number;
}

export async function run(options: TrainBenchOptions): Promise<BenchReport<TrainBenchRow>> {
  const { documents = 16, tokens: most = 256, threads = [1, 2], rounds = 3, python } = options;
  const { tokenizer, config } = openModel();
  const sequences = readTexts(options.corpus, documents).map((text) => [
    ...tokenizer.encodeWindow(text, most),
  ]);
  const tokens = sequences.reduce((sum, { length }) => sum + length, 0);
  const peak = peakMultiplyAdds();
  const best = new Map<string, Outcome & { readonly system: System; readonly threads: number }>();
  await withScratch(async (scratch) => {
    const keep = (system: System, count: number, outcome: Outcome) => {
      const known = best.get(`${system} ${count}`);
      if (!known || outcome.seconds < known.seconds)
        best.set(`${system} ${count}`, { ...outcome, system, threads: count });
    };
    for (let turn = 0; turn < 2; turn++)
      for (const count of threads) {
        for (const system of Object.keys(SCOPES) as (keyof typeof SCOPES)[]) {
          const task: Task = { system, threads: count, rounds, sequences };
          keep(system, count, await runChild<Outcome>(SELF, task, system));
        }
        if (python === undefined) continue;
        const path = join(scratch, 'task.json');
        const recipe = join(packageRoot, 'encoder/training/gpu');
        writeFileSync(
          path,
          JSON.stringify({ recipe, config, sequences, threads: count, rounds, keep: KEPT_TERMS }),
        );
        const peer = join(packageRoot, 'bench/train-peer.py');
        keep(
          'pytorch all',
          count,
          JSON.parse(execFileSync(python, ['-B', peer, path], { encoding: 'utf8' })),
        );
      }
  });
  return report(
    [...best.values()].map(({ system, threads: count, seconds, peakMemoryMB }) => {
      const peer = best.get(`pytorch all ${count}`);
      const work =
        system === 'pytorch all'
          ? multiplyAdds(sequences, SCOPES['winnow all'])
          : multiplyAdds(sequences, SCOPES[system]);
      return {
        system,
        threads: count,
        tokensPerSecond: Math.round(tokens / seconds),
        ratio: peer ? round(peer.seconds / seconds, 2) : 0,
        shareOfPeak: round(work / seconds / (peak * count), 2),
        peakMemoryMB: Math.round(peakMemoryMB),
      };
    }),
  );
}

/** f32 multiply-adds of a pass, the decoder's forward product left out, which is int8. */
function multiplyAdds(sequences: Task['sequences'], { layers, slice, embeddings }: BodyScope): number {
  const { hidden_size: H, intermediate_size: I } = openModel().config;
  let sum = 0;
  for (const { length } of sequences) {
    const maps = 4 * H * H + 2 * H * I;
    // Forward and the gradient of the inputs take one product each, the gradient of the weights one more for what is trained.
    const trained = slice ? (2 * slice.heads * 32 * H + 2 * slice.channels * H) / maps : 1;
    const lowest = embeddings || layers === 0 ? 0 : 3 * H * H;
    sum +=
      length * (layers * (maps * (2 + trained) + 7 * length * H) - lowest + H * H * (layers > 0 ? 3 : 2));
  }
  return sum;
}

/** Multiply-adds per second of a product whose operands stay in the caches, on this thread. */
function peakMultiplyAdds(): number {
  const library = loadKernels();
  const [rows, columns, depth] = [192, 256, 256];
  const layout = new ArenaLayout(library.arenaStart);
  const [a, b, c] = [rows * depth, depth * columns, rows * columns].map((count) =>
    layout.reserve(4 * count),
  ) as [number, number, number];
  const scratch = layout.reserve(GEMM_SCRATCH_BYTES);
  const kernels = library.bind(library.newMemory(layout.sizeBytes));
  let best = Infinity;
  for (let turn = 0; turn < 200; turn++) {
    const start = performance.now();
    kernels.training.gemm({
      a: rowMajor(a, depth),
      b: rowMajor(b, columns),
      c,
      cRow: columns,
      rows,
      columns,
      depth,
      scratch,
    });
    best = Math.min(best, performance.now() - start);
  }
  return (rows * columns * depth) / (best / 1000);
}

/** Runs in a child process: one batch, forward and backward, several times. */
async function measure({ system, threads, rounds, sequences }: Task): Promise<Outcome> {
  const model = openModel();
  const scope = SCOPES[system];
  const engine = await Engine.create(model.readWeights({ screen: false }), {
    scope,
    outputs: { sparse: true, vector: false, pair: false },
    limits: {
      rows: sequences.reduce((sum, { length }) => sum + length, 0),
      sequences: sequences.length,
      longest: Math.max(...sequences.map(({ length }) => length)),
    },
    threads,
  });
  const batch = sequences.map((ids) => ({ ids, loadStates: (into: Float32Array) => void into.fill(0.1) }));
  let best = Infinity;
  for (let turn = 0; turn <= rounds; turn++) {
    await engine.clearGradients();
    const start = performance.now();
    await engine.forward(batch, batch.length);
    await engine.backward({
      terms: batch.map((_, i) => {
        const { terms, rows } = engine.termsOf(i);
        return { terms, rows, gradients: new Float32Array(terms.length).fill(0.01) };
      }),
    });
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  await engine.close();
  return { seconds: best, peakMemoryMB: process.resourceUsage().maxRSS / 1024 };
}

if (isChild(SELF)) process.stdout.write(JSON.stringify(await measure(childTask<Task>())));
