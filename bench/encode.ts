import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Model, openModel } from '../encoder/model.ts';
import { createOnnxEncoder } from '../encoder/onnx-encoder.ts';
import { sparseHead } from '../encoder/sparse-head.ts';
import { InferencePool } from '../encoder/transformer/inference-pool.ts';
import type { SparseVector } from '../encoder/types.ts';
import { childTask, isChild, runChild, yieldAsEncodingThreads } from './child.ts';
import { exportOnnx } from './onnx-export.ts';
import { withScratch, writePeerFolder } from './peer-folder.ts';
import { type BenchReport, report, round } from './report.ts';
import { readTexts } from './texts.ts';

// Document encoding end to end: text in, sparse vector out, the same documents, the same weights. Each system runs in a
// process of its own (its peak memory counts) and encodes warm-up documents first. Systems take turns for `rounds` rounds
// and the best round counts, since other load on the machine can only slow a round down. Where there is much of it, compare the
// documents per second of processor time: waiting for a core does not count there.
// The peer is @huggingface/transformers on an ONNX export of the same model, f32 and dynamic int8, one text per run.
// Exports output the logits of every token; `pooled` is a stronger peer with the maximum over tokens inside the graph.

export interface EncodeBenchOptions {
  /** JSONL of documents with `title` and `text`; every `step`-th is used. */
  readonly corpus: string;
  /** Bundled model name or folder; default the default model. */
  readonly model?: string | undefined;
  /** Documents per round; default 48. */
  readonly documents?: number | undefined;
  readonly rounds?: number | undefined;
  /** Default [1, 2]. */
  readonly threads?: readonly number[] | undefined;
}

export interface EncodeBenchRow {
  readonly system: string;
  readonly threads: number;
  readonly docsPerSecond: number;
  readonly tokensPerSecond: number;
  /** Per second of processor time of all threads, best round. */
  readonly docsPerCpuSecond: number;
  /** Documents per second divided by those of the int8 peer on the same number of threads. */
  readonly ratio: number;
  readonly peakMemoryMB: number;
  /** Mean cosine between the vectors and those of the f32 peer. */
  readonly cosine: number;
}

const SYSTEMS = [
  'winnow native',
  'winnow wasm',
  'transformers int8',
  'transformers f32',
  'transformers int8 pooled',
] as const;
type System = (typeof SYSTEMS)[number];
const SELF = fileURLToPath(import.meta.url);

interface Task {
  readonly system: System;
  readonly threads: number;
  readonly model: string | undefined;
  /** Folder that holds documents.json and the peer's ONNX files. */
  readonly scratch: string;
}

interface Outcome {
  readonly seconds: number;
  /** Processor time of the process meanwhile. */
  readonly cpuSeconds: number;
  readonly tokens: number;
  readonly peakMemoryMB: number;
  readonly vectors: readonly { ids: number[]; weights: number[] }[];
}

export async function run(options: EncodeBenchOptions): Promise<BenchReport<EncodeBenchRow>> {
  const { documents = 48, rounds = 2, threads = [1, 2], model } = options;
  return withScratch(async (scratch) => {
    const texts = readTexts(options.corpus, documents);
    writeFileSync(join(scratch, 'documents.json'), JSON.stringify(texts));
    writePeers(scratch, model);
    const best = new Map<string, Outcome & { system: System; threads: number }>();
    for (let round = 0; round < rounds; round++) {
      for (const count of threads) {
        for (const system of SYSTEMS) {
          const outcome = await runChild<Outcome>(SELF, { system, threads: count, model, scratch }, system);
          const known = best.get(`${system} ${count}`);
          const cpuSeconds = Math.min(outcome.cpuSeconds, known?.cpuSeconds ?? Number.POSITIVE_INFINITY);
          const better = known === undefined || outcome.seconds < known.seconds ? outcome : known;
          best.set(`${system} ${count}`, { ...better, cpuSeconds, system, threads: count });
        }
      }
    }
    const rows = [...best.values()].map((own) => {
      const int8 = best.get(`transformers int8 ${own.threads}`)!;
      const exact = best.get(`transformers f32 ${own.threads}`)!;
      return {
        system: own.system,
        threads: own.threads,
        docsPerSecond: round(texts.length / own.seconds, 1),
        tokensPerSecond: Math.round(own.tokens / own.seconds),
        docsPerCpuSecond: round(texts.length / own.cpuSeconds, 1),
        ratio: round(int8.seconds / own.seconds, 2),
        peakMemoryMB: Math.round(own.peakMemoryMB),
        cosine: round(meanCosine(own.vectors, exact.vectors), 4),
      };
    });
    return report(rows);
  });
}

/** The peers' folders in the form that @huggingface/transformers reads. */
function writePeers(scratch: string, name: string | undefined): void {
  const model = openModel(name);
  for (const pooled of [false, true]) writePeer(join(scratch, pooled ? 'pooled' : 'logits'), model, pooled);
}

function writePeer(folder: string, model: Model, pooled: boolean): void {
  const weights = model.readWeights();
  const { winnow: _, ...config } = model.config;
  writePeerFolder(folder, { ...model, config }, 'BertForMaskedLM', {
    f32: exportOnnx(weights, { precision: 'f32', pooled }),
    int8: exportOnnx(weights, { precision: 'int8', pooled }),
  });
}

/** Runs in a child process: load, warm up on a quarter of the documents, encode all, report. */
async function measure({ system, threads, model, scratch }: Task): Promise<Outcome> {
  const texts = JSON.parse(readFileSync(join(scratch, 'documents.json'), 'utf8')) as string[];
  if (!system.startsWith('winnow')) yieldAsEncodingThreads();
  const encoder = await (system.startsWith('winnow')
    ? openWinnow(system === 'winnow wasm' ? 'wasm' : 'native', threads, model)
    : createOnnxEncoder(join(scratch, system.endsWith('pooled') ? 'pooled' : 'logits'), {
        dtype: system.includes('int8') ? 'q8' : 'fp32',
        threads,
        weighting: openModel(model).config.winnow,
      }));
  await encoder.encode(texts.slice(0, Math.ceil(texts.length / 4)));
  const start = performance.now();
  const cpuStart = process.cpuUsage();
  const { vectors, tokens } = await encoder.encode(texts);
  const seconds = (performance.now() - start) / 1000;
  const { user, system: kernel } = process.cpuUsage(cpuStart);
  await encoder.close();
  return {
    seconds,
    cpuSeconds: (user + kernel) / 1e6,
    tokens,
    peakMemoryMB: process.resourceUsage().maxRSS / 1024,
    vectors: vectors.map(({ termIds, weights }) => ({ ids: [...termIds], weights: [...weights] })),
  };
}

async function openWinnow(backend: 'native' | 'wasm', threads: number, name: string | undefined) {
  const model = openModel(name);
  const pool = InferencePool.create(sparseHead, model.readWeights(), { backend, threads });
  const window = model.config.max_position_embeddings;
  return {
    async encode(texts: readonly string[]): Promise<{ vectors: SparseVector[]; tokens: number }> {
      const sequences = texts.map((text) => ({ ids: model.tokenizer.encodeWindow(text, window) }));
      const tokens = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
      return { vectors: await pool.run(sequences), tokens };
    },
    close: () => pool.close(),
  };
}

function meanCosine(own: Outcome['vectors'], exact: Outcome['vectors']): number {
  const total = own.reduce((sum, vector, i) => {
    const other = new Map(exact[i]!.ids.map((id, at) => [id, exact[i]!.weights[at]!]));
    const norm = (weights: number[]) => Math.hypot(...weights);
    const dot = vector.ids.reduce((acc, id, at) => acc + vector.weights[at]! * (other.get(id) ?? 0), 0);
    return sum + dot / (norm(vector.weights) * norm(exact[i]!.weights));
  }, 0);
  return total / own.length;
}

if (isChild(SELF)) process.stdout.write(JSON.stringify(await measure(childTask<Task>())));
