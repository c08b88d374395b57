import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openModel } from '../encoder/model.ts';
import { DEFAULT_RERANKER, openCrossEncoderModel } from '../encoder/rerank/model.ts';
import { percentile } from '../evaluation/latency.ts';
import { loadKernels } from '../kernels/index.ts';
import { Worker } from './child.ts';
import { withScratch } from './peer-folder.ts';
import { type BenchReport, report, round } from './report.ts';
import { readPairs } from './rerank-inputs.ts';
import { type Variant, type VariantFiles, writeVariants } from './rerank-models.ts';
import { SELF } from './rerank-systems.ts';
import type { RerankOutcome, RerankTask } from './rerank-task.ts';

// Reranking, stage by stage. `cross`: 100 pairs of query and passage as one request, to 100 logits. `vector`: the queries of these
// pairs one by one, each to its vector and the cosines with 100 documents. Each system lives in a process of its own and is warmed up;
// then all take turns, turn after turn, so that other load on the machine meets all alike. Ratios are medians over the turns.
// Peers run ONNX exports of the same weights: onnxruntime-node from token ids, @huggingface/transformers from text, as Winnow;
// pairs in the batches that were fastest. Pruned weights are made on the fly. Outputs are compared with the f32 export of the
// same (pruned) weights.

export interface RerankBenchOptions {
  /** Bundled cross-encoder or folder; default the bundled one. */
  readonly model?: string | undefined;
  /** Bundled document encoder or folder, for the vector stage; default the bundled one. Without a second output it gets a random one. */
  readonly encoder?: string | undefined;
  /** Evaluation set in BEIR's form, whose queries and judged documents are the pairs. */
  readonly corpus: string;
  /** Pairs per request; default 100. */
  readonly pairs?: number | undefined;
  /** Tokens of a pair; default 128. */
  readonly tokens?: number | undefined;
  /** Turns of each system; default 7. */
  readonly rounds?: number | undefined;
  /** Threads of the cross-encoders; default [2]. The vector stage runs on one. */
  readonly threads?: readonly number[] | undefined;
  /** Names of systems to measure contain one of these; default all. The peer that ratios refer to always runs. */
  readonly systems?: readonly string[] | undefined;
}

export interface RerankBenchRow {
  readonly stage: 'cross' | 'vector';
  readonly system: string;
  /** Pairs per request; a query of the vector stage counts as one. */
  readonly pairs: number;
  /** Of a request. */
  readonly tokens: number;
  readonly threads: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Time of onnxruntime int8 on the same number of threads divided by the own time: the median over the turns. */
  readonly ratio: number;
  /** Mean absolute difference from the outputs of the f32 export of the same weights. */
  readonly difference: number;
  /** Rank correlation (Spearman) with them. */
  readonly spearman: number;
  /** Size of weights.winnow, or of the ONNX file. */
  readonly fileMB: number;
  /** Instructions that ran, or the batches that were fastest. */
  readonly chosen: string;
}

interface System extends Pick<RerankTask, 'kind' | 'stage' | 'backend'> {
  readonly name: string;
  readonly variant: Variant;
}

const cross = (variant: Variant, label: string, backend: 'native' | 'wasm' = 'native'): System => ({
  name: `winnow ${backend} ${label}`,
  kind: 'winnow',
  stage: 'cross',
  backend,
  variant,
});
const vector = (backend: 'native' | 'wasm'): System => ({
  ...cross('vector', 'query pass', backend),
  stage: 'vector',
});
const peer = (stage: 'cross' | 'vector', kind: 'onnxruntime' | 'transformers', name: string): System => ({
  name,
  kind,
  stage,
  backend: 'native',
  variant: stage === 'cross' ? 'dense' : 'vector',
});
const PEER = 'onnxruntime int8';
const SYSTEMS: readonly System[] = [
  peer('vector', 'onnxruntime', PEER),
  vector('native'),
  vector('wasm'),
  peer('vector', 'transformers', 'transformers.js int8'),
  peer('cross', 'onnxruntime', PEER),
  cross('dense', 'dense int8'),
  cross('as it is', 'as it is'),
  cross('8:16', '8:16'),
  cross('4:16', '4:16'),
  cross('4x1', '4x1 75 %'),
  cross('dense', 'dense int8', 'wasm'),
  peer('cross', 'transformers', 'transformers.js int8'),
];
/** A system that has worked for so long gets no further turn, unless ratios refer to it. */
const MOST_SECONDS = 20;

/** A system that is measured, with what its turns brought. */
interface Entrant {
  readonly system: System;
  readonly threads: number;
  readonly files: VariantFiles;
  readonly worker: Worker<RerankOutcome>;
  readonly turns: RerankOutcome[];
}

export const run = (options: RerankBenchOptions): Promise<BenchReport<RerankBenchRow>> =>
  withScratch(async (scratch) => {
    const { pairs: count = 100, tokens = 128, rounds = 7, threads = [2] } = options;
    const model = openCrossEncoderModel(options.model ?? DEFAULT_RERANKER);
    const pairs = await readPairs(options.corpus, model.tokenizer, count, tokens);
    const pairsPath = join(scratch, 'pairs.json');
    writeFileSync(pairsPath, JSON.stringify(pairs));
    const named = SYSTEMS.filter(
      ({ name }) => name === PEER || (options.systems ?? ['']).some((part) => name.includes(part)),
    );
    const variants = new Set(named.map(({ variant }) => variant));
    const files = writeVariants(scratch, variants, model, openModel(options.encoder), peerPrecision());
    const wanted = named.filter(({ variant }) => files.has(variant));
    const exact = new Map<Variant, readonly number[]>();
    for (const { variant, stage } of wanted) {
      if (exact.has(variant)) continue;
      const task: RerankTask = {
        kind: 'onnxruntime',
        stage,
        backend: 'native',
        threads: 2,
        path: files.get(variant)!.f32,
        pairs: pairsPath,
        isOnce: true,
      };
      const worker = Worker.start<RerankOutcome>(SELF, task, `f32 ${variant}`);
      exact.set(variant, (await worker.call()).outputs);
      worker.end();
    }
    const rows: RerankBenchRow[] = [];
    for (const own of [...new Set([1, ...threads])]) {
      const systems = wanted.filter(({ stage }) => (stage === 'vector' ? own === 1 : threads.includes(own)));
      for (const stage of ['vector', 'cross'] as const) {
        const entrants = systems
          .filter((system) => system.stage === stage)
          .map((system) => enter(system, own, files.get(system.variant)!, pairsPath));
        await takeTurns(entrants, rounds);
        const size = {
          pairs: stage === 'vector' ? 1 : count,
          tokens: pairs.reduce(
            (sum, { ids, queryIds }) => sum + (stage === 'vector' ? queryIds.length / count : ids.length),
            0,
          ),
        };
        rows.push(
          ...entrants.map((entrant) =>
            rowOf(entrant, entrants[0]!, size, exact.get(entrant.system.variant)!),
          ),
        );
      }
    }
    return report(rows);
  });

/** What the peer may use of the processor: WINNOW_CPU limits this side only. Without VNNI its sums of 8-bit products saturate. */
function peerPrecision(): 'int7' | 'int8' {
  const { instructions } = loadKernels('native');
  return instructions === 'avx2' || instructions === 'baseline' ? 'int7' : 'int8';
}

function enter(system: System, threads: number, files: VariantFiles, pairs: string): Entrant {
  const { kind, stage, backend, name } = system;
  const path = kind === 'onnxruntime' ? files.int8 : files.folder;
  const task: RerankTask = { kind, stage, backend, threads, path, pairs, isOnce: false };
  return { system, threads, files, worker: Worker.start<RerankOutcome>(SELF, task, name), turns: [] };
}

/** One round to warm up, then so many that count. */
async function takeTurns(entrants: readonly Entrant[], rounds: number): Promise<void> {
  const spent = new Map<Entrant, number>();
  try {
    for (const { worker } of entrants) await worker.call();
    for (let round = 0; round < rounds; round++) {
      for (const entrant of entrants) {
        const isReference = entrant === entrants[0];
        if (!isReference && (spent.get(entrant) ?? 0) > 1000 * MOST_SECONDS) continue;
        const started = performance.now();
        entrant.turns.push(await entrant.worker.call());
        spent.set(entrant, (spent.get(entrant) ?? 0) + performance.now() - started);
      }
    }
  } finally {
    for (const { worker } of entrants) worker.end();
  }
}

function rowOf(
  { system: { stage, name, kind }, threads, files, turns }: Entrant,
  reference: Entrant,
  size: { readonly pairs: number; readonly tokens: number },
  exact: readonly number[],
): RerankBenchRow {
  const millis = Float64Array.from(turns.flatMap((turn) => turn.millis)).sort();
  const ratios = turns.map((turn, i) => median(reference.turns[i]!.millis) / median(turn.millis));
  const { outputs, chosen } = turns[0]!;
  return {
    stage,
    system: name,
    pairs: size.pairs,
    tokens: round(size.tokens, 1),
    threads,
    p50Ms: round(percentile(millis, 50), 2),
    p95Ms: round(percentile(millis, 95), 2),
    ratio: round(median(ratios), 2),
    difference: round(meanDifference(outputs, exact), 4),
    spearman: round(spearman(outputs, exact), 4),
    fileMB: round((kind === 'winnow' ? files.bytes.winnow : files.bytes.int8) / 1e6, 1),
    chosen,
  };
}

const median = (values: readonly number[]): number => percentile(Float64Array.from(values).sort(), 50);

const meanDifference = (own: readonly number[], exact: readonly number[]): number =>
  own.reduce((sum, value, i) => sum + Math.abs(value - exact[i]!), 0) / own.length;

function spearman(own: readonly number[], exact: readonly number[]): number {
  const ranks = (values: readonly number[]) => {
    const rank = new Float64Array(values.length);
    const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
    order.forEach((index, at) => {
      rank[index] = at;
    });
    return rank;
  };
  const [a, b] = [ranks(own), ranks(exact)];
  const squares = a.reduce((sum, rank, i) => sum + (rank - b[i]!) ** 2, 0);
  return 1 - (6 * squares) / (own.length * (own.length ** 2 - 1));
}
