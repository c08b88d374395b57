import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createForward } from '../encoder/backends/index.ts';
import { createOnnxEncoder } from '../encoder/backends/onnx.ts';
import { type Model, openModel } from '../encoder/model-file.ts';
import type { SparseVector } from '../encoder/types.ts';
import { WinnowError } from '../errors.ts';
import { currentCommit, describeMachine } from './machine.ts';
import { exportOnnx } from './onnx-export.ts';

// Document encoding end to end: text in, sparse vector out, the same documents, the same weights. Each system runs in a
// process of its own (its peak memory counts) and encodes warm-up documents first; systems take turns for `rounds` rounds
// and the best round counts, since other load on the machine only ever slows one down.
// The peer is @huggingface/transformers on an ONNX export of the same model, f32 and dynamic int8, one text a run. Exports
// give logits of every token; `pooled` is a stronger peer with the maximum over tokens inside the graph.

export interface EncodeBenchOptions {
  /** Has no effect: the caller prints the report. */
  readonly json?: boolean;
  /** JSONL of documents with `title` and `text`; every `step`-th is used. */
  readonly corpus: string;
  /** Bundled model name or folder; default the default model. */
  readonly model?: string | undefined;
  /** Documents a round; default 48. */
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
  /** Documents per second over those of the int8 peer at as many threads. */
  readonly ratio: number;
  readonly peakMemoryMB: number;
  /** Mean cosine of the vectors with those of the f32 peer. */
  readonly cosine: number;
}

export interface EncodeBenchReport {
  readonly machine: string;
  readonly commit: string;
  readonly rows: readonly EncodeBenchRow[];
}

const SYSTEMS = [
  'winnow native',
  'winnow wasm',
  'transformers int8',
  'transformers f32',
  'transformers int8 pooled',
] as const;
type System = (typeof SYSTEMS)[number];

interface Task {
  readonly system: System;
  readonly threads: number;
  readonly model: string | undefined;
  /** Folder that holds documents.json and the peer's ONNX files. */
  readonly scratch: string;
}

interface Outcome {
  readonly seconds: number;
  readonly tokens: number;
  readonly peakMemoryMB: number;
  readonly vectors: readonly { ids: number[]; weights: number[] }[];
}

export async function run(options: EncodeBenchOptions): Promise<EncodeBenchReport> {
  const { documents = 48, rounds = 2, threads = [1, 2], model } = options;
  const scratch = mkdtempSync(join(tmpdir(), 'winnow-bench-'));
  try {
    const texts = readTexts(options.corpus, documents);
    writeFileSync(join(scratch, 'documents.json'), JSON.stringify(texts));
    writePeers(scratch, model);
    const best = new Map<string, Outcome & { system: System; threads: number }>();
    for (let round = 0; round < rounds; round++) {
      for (const count of threads) {
        for (const system of SYSTEMS) {
          const outcome = await runChild({ system, threads: count, model, scratch });
          const known = best.get(`${system} ${count}`);
          if (known === undefined || outcome.seconds < known.seconds) {
            best.set(`${system} ${count}`, { ...outcome, system, threads: count });
          }
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
        ratio: round(int8.seconds / own.seconds, 2),
        peakMemoryMB: Math.round(own.peakMemoryMB),
        cosine: round(meanCosine(own.vectors, exact.vectors), 4),
      };
    });
    return { machine: describeMachine(), commit: currentCommit(), rows };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function readTexts(corpus: string, count: number): string[] {
  if (!existsSync(corpus)) {
    throw new WinnowError('WINNOW_NOT_FOUND', 'the corpus does not exist', {
      place: corpus,
      hint: 'name a JSONL file of documents with title and text',
    });
  }
  const lines = readFileSync(corpus, 'utf8').split('\n').filter(Boolean);
  const step = Math.max(1, Math.floor(lines.length / count));
  return lines
    .filter((_, i) => i % step === 0)
    .slice(0, count)
    .map((line) => {
      const { title = '', text = '' } = JSON.parse(line);
      return `${title} ${text}`.trim();
    });
}

/** The peers' folders in the form that @huggingface/transformers reads. */
function writePeers(scratch: string, name: string | undefined): void {
  const model = openModel(name);
  for (const pooled of [false, true]) writePeer(join(scratch, pooled ? 'pooled' : 'logits'), model, pooled);
}

function writePeer(folder: string, model: Model, pooled: boolean): void {
  const weights = model.readWeights();
  mkdirSync(join(folder, 'onnx'), { recursive: true });
  const files = { f32: 'model.onnx', int8: 'model_quantized.onnx' } as const;
  for (const precision of ['f32', 'int8'] as const) {
    writeFileSync(join(folder, 'onnx', files[precision]), exportOnnx(weights, { precision, pooled }));
  }
  const { winnow: _, ...config } = model.config;
  const json = (file: string, value: object) => writeFileSync(join(folder, file), JSON.stringify(value));
  json('config.json', { ...config, model_type: 'bert', architectures: ['BertForMaskedLM'] });
  json('tokenizer_config.json', {
    tokenizer_class: 'BertTokenizer',
    model_max_length: 512,
    do_lower_case: true,
  });
  writeFileSync(join(folder, 'tokenizer.json'), readFileSync(join(model.folder, 'tokenizer.json')));
}

function runChild(task: Task): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [...process.execArgv, fileURLToPath(import.meta.url), JSON.stringify(task)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, WINNOW_BENCH_CHILD: '1' },
      },
    );
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(output) as Outcome);
      else reject(new Error(`${task.system} ended with ${code}`));
    });
  });
}

/** What a child process does: load, warm up on a quarter of the documents, encode all, report. */
async function measure({ system, threads, model, scratch }: Task): Promise<Outcome> {
  const texts = JSON.parse(readFileSync(join(scratch, 'documents.json'), 'utf8')) as string[];
  const encoder = await (system.startsWith('winnow')
    ? openWinnow(system === 'winnow wasm' ? 'wasm' : 'native', threads, model)
    : createOnnxEncoder(join(scratch, system.endsWith('pooled') ? 'pooled' : 'logits'), {
        dtype: system.includes('int8') ? 'q8' : 'fp32',
        threads,
        weighting: openModel(model).config.winnow,
      }));
  await encoder.encode(texts.slice(0, Math.ceil(texts.length / 4)));
  const start = performance.now();
  const { vectors, tokens } = await encoder.encode(texts);
  const seconds = (performance.now() - start) / 1000;
  await encoder.close();
  return {
    seconds,
    tokens,
    peakMemoryMB: process.resourceUsage().maxRSS / 1024,
    vectors: vectors.map(({ termIds, weights }) => ({ ids: [...termIds], weights: [...weights] })),
  };
}

async function openWinnow(backend: 'native' | 'wasm', threads: number, name: string | undefined) {
  const model = openModel(name);
  const forward = createForward(model.readWeights(), { backend, threads });
  const window = model.config.max_position_embeddings;
  return {
    async encode(texts: readonly string[]): Promise<{ vectors: SparseVector[]; tokens: number }> {
      const sequences = texts.map((text) => ({ ids: model.query.tokenizer.encodeWindow(text, window) }));
      const tokens = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
      return { vectors: await forward.encode(sequences), tokens };
    },
    close: () => forward.close(),
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

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

if (process.env.WINNOW_BENCH_CHILD === '1' && process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(JSON.stringify(await measure(JSON.parse(process.argv[2]!) as Task)));
}
