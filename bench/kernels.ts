import { Bench } from 'tinybench';
import { quantizeWeightRows } from '../encoder/transformer/tensor-source.ts';
import {
  ArenaLayout,
  availableKernels,
  block4ScratchBytes,
  countBlocks4,
  fillBlock4Matrix,
  fillF32Matrix,
  fillInt8Matrix,
  fillN16Matrix,
  type KernelBackend,
  loadKernels,
  padTo,
  reserveBlock4Matrix,
  reserveF32Matrix,
  reserveInt8Matrix,
  reserveN16Matrix,
  reserveQuantizedRows,
} from '../kernels/index.ts';
import { randomSource } from '../random.ts';
import { OnnxGraph } from './onnx-graph.ts';
import { loadOnnxRuntime } from './onnxruntime.ts';
import { type BenchReport, report } from './report.ts';

// Products of a MiniLM-sized layer and the vocabulary head against onnxruntime-node on the same f32 inputs, one
// thread. Times are the best of many runs on both sides, because other load on the machine can only add time. An int8
// row includes the quantisation of its activations on both sides. GOP/s count the dense operations (2 T K N) whatever
// the sparsity. Fixed seeds; on a 3 GHz core expect 1,200 to 2,300 GOP/s for dense int8 with AMX, 550 to 650 with
// AVX-512 VNNI (WINNOW_CPU=vnni), and 150 to 185 for f32. WINNOW_CPU limits this side only: onnxruntime always takes
// the best instructions that it knows.

export interface KernelBenchOptions {
  /** How long a kernel is repeated; default 200 ms. */
  readonly timeMs?: number;
  /** Default: native and wasm where they load. */
  readonly backends?: readonly KernelBackend[];
}

export interface KernelBenchRow {
  readonly kernel: string;
  readonly shape: string;
  readonly backend: string;
  readonly pattern: string;
  readonly gops: number;
  readonly peer: string;
  readonly peerGops: number;
  readonly ratio: number;
  /** Largest difference from the peer's result, relative to its largest value. */
  readonly difference: number;
}

export type KernelBenchReport = BenchReport<KernelBenchRow>;

interface Shape {
  readonly T: number;
  readonly K: number;
  readonly N: number;
}

/** One product to measure: dense f32 weights that already follow the pattern, and how both sides compute it. */
interface Case {
  readonly kernel: string;
  readonly pattern: string;
  readonly weights: Float32Array;
  readonly peer: 'f32' | 'int8';
}

interface Measured {
  readonly bestMs: number;
  readonly result: Float32Array;
}

const SHAPES: readonly Shape[] = [128, 1024].flatMap((T) => [
  { T, K: 384, N: 384 },
  { T, K: 384, N: 1536 },
  { T, K: 1536, N: 384 },
]);
const HEAD: Shape = { T: 120, K: 384, N: 30522 };

export async function run(options: KernelBenchOptions = {}): Promise<KernelBenchReport> {
  const { timeMs = 200, backends = availableKernels().filter((name) => name !== 'reference') } = options;
  const rows: KernelBenchRow[] = [];
  for (const shape of SHAPES) {
    const x = randomFloats(shape.T * shape.K, 1);
    const peers = new Map<string, Measured>();
    for (const product of cases(shape)) {
      // The peer multiplies zeros like any number: one measurement per precision is enough for the speed of every
      // pattern.
      const known = peers.get(product.peer);
      const peer = await measurePeer(shape, x, product, timeMs, known);
      peers.set(product.peer, known ?? peer);
      for (const backend of backends) {
        if (backend === 'wasm' && shape.T > 128) continue;
        const own = await measureOwn(backend, shape, x, product, timeMs);
        rows.push(makeRow(product, shape, backend, own, peer));
      }
    }
  }
  for (const backend of backends) rows.push(...(await headRows(backend, timeMs)));
  return report(rows);
}

function cases({ K, N }: Shape): Case[] {
  const dense = randomFloats(N * K, 2);
  return [
    { kernel: 'f32', pattern: 'dense', weights: dense, peer: 'f32' },
    { kernel: 'int8', pattern: 'dense', weights: dense, peer: 'int8' },
    { kernel: 'int8', pattern: '8:16', weights: keepOfSixteen(dense, 8), peer: 'int8' },
    { kernel: 'int8', pattern: '4:16', weights: keepOfSixteen(dense, 4), peer: 'int8' },
    { kernel: 'int8', pattern: '4x1 75%', weights: keepBlocks(dense, K, 4), peer: 'int8' },
  ];
}

async function measureOwn(
  backend: KernelBackend,
  { T, K, N }: Shape,
  x: Float32Array,
  { kernel, pattern, weights }: Case,
  timeMs: number,
): Promise<Measured> {
  const library = loadKernels(backend);
  const layout = new ArenaLayout(library.arenaStart);
  const data = quantizeWeightRows(weights, N, K);
  const plan = {
    x: layout.reserve(4 * T * K),
    input: reserveQuantizedRows(layout, T, K),
    out: layout.reserve(4 * T * N),
    scratch: layout.reserve(block4ScratchBytes(K)),
    f32: reserveF32Matrix(layout, N, K),
    int8: reserveInt8Matrix(layout, N, K),
    n16: reserveN16Matrix(layout, N, K, pattern === '4:16' ? 1 : 2),
    block4: reserveBlock4Matrix(layout, N, K, countBlocks4(data.data, N, K)),
  };
  const kernels = library.bind(library.newMemory(layout.sizeBytes));
  const { arena } = kernels;
  const { out, scratch, input } = plan;
  arena.floats(plan.x, T * K).set(x);
  const quantized = (product: () => void) => () => {
    kernels.rows.quantizeRows({ x: plan.x, rows: T, out: input });
    product();
  };
  const products: Record<string, () => () => void> = {
    'f32 dense': () => {
      fillF32Matrix(arena, plan.f32, weights);
      return () => kernels.dense.gemmF32({ x: plan.x, rows: T, weights: plan.f32, out });
    },
    'int8 dense': () => {
      fillInt8Matrix(arena, plan.int8, [data]);
      return quantized(() => kernels.dense.gemmInt8({ input, rows: T, weights: plan.int8, out }));
    },
    'int8 4x1 75%': () => {
      fillBlock4Matrix(arena, plan.block4, data);
      return quantized(() =>
        kernels.sparse.gemmBlock4({ input, rows: T, weights: plan.block4, out, scratch }),
      );
    },
  };
  const n16 = () => {
    fillN16Matrix(arena, plan.n16, data);
    return quantized(() => kernels.sparse.gemmN16({ input, rows: T, weights: plan.n16, out }));
  };
  const call = (products[`${kernel} ${pattern}`] ?? n16)();
  const bestMs = await best(call, timeMs);
  return { bestMs, result: arena.floats(out, T * N).slice() };
}

async function measurePeer(
  { T, K, N }: Shape,
  x: Float32Array,
  { weights, peer }: Case,
  timeMs: number,
  known: Measured | undefined,
): Promise<Measured> {
  const graph = new OnnxGraph();
  graph.input('x', 'f32', [T, K]);
  graph.output(graph.dense('x', { dtype: 'f32', shape: [N, K], data: weights }, undefined, peer), 'y', [
    T,
    N,
  ]);
  return measureSession(graph, new Map([['x', { data: x, dims: [T, K] }]]), timeMs, known);
}

async function measureSession(
  graph: OnnxGraph,
  inputs: ReadonlyMap<string, { data: Float32Array; dims: readonly number[] }>,
  timeMs: number,
  known?: Measured,
): Promise<Measured> {
  const { InferenceSession, Tensor } = loadOnnxRuntime();
  const session = await InferenceSession.create(graph.encode(), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  });
  const feeds = Object.fromEntries(
    [...inputs].map(([name, { data, dims }]) => [name, new Tensor('float32', data, dims)]),
  );
  const { y } = await session.run(feeds);
  const bestMs = known?.bestMs ?? (await best(() => session.run(feeds), timeMs));
  await session.release();
  return { bestMs, result: y!.data };
}

/** The fused int8 head (maximum over tokens, no T x V buffer) against onnxruntime's f32 product and ReduceMax. */
async function headRows(backend: KernelBackend, timeMs: number): Promise<KernelBenchRow[]> {
  const { T, K, N } = HEAD;
  const x = randomFloats(T * K, 3);
  const weights = randomFloats(N * K, 4);
  const graph = new OnnxGraph();
  graph.input('x', 'f32', [T, K]);
  const logits = graph.dense('x', { dtype: 'f32', shape: [N, K], data: weights }, undefined, 'f32');
  graph.output(graph.one('ReduceMax', [logits], { axes: [0], keepdims: 0 }), 'y', [N]);
  const peer = await measureSession(graph, new Map([['x', { data: x, dims: [T, K] }]]), timeMs);

  const library = loadKernels(backend);
  const layout = new ArenaLayout(library.arenaStart);
  const plan = {
    x: layout.reserve(4 * T * K),
    input: reserveQuantizedRows(layout, T, K),
    weights: reserveInt8Matrix(layout, N, K),
    starts: layout.reserve(8),
    out: layout.reserve(4 * padTo(N, 32)),
  };
  const kernels = library.bind(library.newMemory(layout.sizeBytes));
  kernels.arena.floats(plan.x, T * K).set(x);
  kernels.arena.ints(plan.starts, 2).set([0, T]);
  fillInt8Matrix(kernels.arena, plan.weights, [quantizeWeightRows(weights, N, K)]);
  const bestMs = await best(() => {
    kernels.rows.quantizeRows({ x: plan.x, rows: T, out: plan.input });
    kernels.head.argmaxInt8({ ...plan, documents: 1, outStride: padTo(N, 32) });
  }, timeMs);
  const own = { bestMs, result: kernels.arena.floats(plan.out, N).slice() };
  return [makeRow({ kernel: 'int8 fused head', pattern: 'dense', peer: 'f32' }, HEAD, backend, own, peer)];
}

function makeRow(
  { kernel, pattern, peer: precision }: Pick<Case, 'kernel' | 'pattern' | 'peer'>,
  { T, K, N }: Shape,
  backend: KernelBackend,
  own: Measured,
  peer: Measured,
): KernelBenchRow {
  const gops = (bestMs: number) => round((2 * T * K * N) / bestMs / 1e6);
  return {
    kernel,
    shape: `${T}x${K}x${N}`,
    backend: `${backend} (${loadKernels(backend).instructions})`,
    pattern,
    gops: gops(own.bestMs),
    peer: `onnxruntime-node ${precision}`,
    peerGops: gops(peer.bestMs),
    ratio: round(peer.bestMs / own.bestMs, 2),
    difference: round(relativeDifference(peer.result, own.result), 4),
  };
}

async function best(call: () => unknown, timeMs: number): Promise<number> {
  const bench = new Bench({
    time: timeMs,
    warmupTime: timeMs / 4,
    iterations: 5,
    warmupIterations: 3,
    throws: true,
  });
  bench.add('call', () => call());
  await bench.run();
  const result = bench.tasks[0]!.result;
  if (!('latency' in result)) throw new Error(`the benchmark ended as ${result.state}`);
  return result.latency.min;
}

function relativeDifference(expected: Float32Array, actual: Float32Array): number {
  let [top, worst] = [1e-30, 0];
  for (let i = 0; i < expected.length; i++) {
    top = Math.max(top, Math.abs(expected[i]!));
    worst = Math.max(worst, Math.abs(expected[i]! - actual[i]!));
  }
  return worst / top;
}

const round = (value: number, digits = 1): number => Number(value.toFixed(digits));

/** Numbers in [-1, 1): the same inputs on every machine. */
function randomFloats(count: number, seed: number): Float32Array {
  const random = randomSource(seed);
  return Float32Array.from({ length: count }, () => 2 * random() - 1);
}

/** The `keep` largest of every 16 consecutive weights. */
function keepOfSixteen(dense: Float32Array, keep: number): Float32Array {
  const out = new Float32Array(dense.length);
  for (let at = 0; at < dense.length; at += 16) {
    const order = Array.from({ length: 16 }, (_, i) => at + i).sort(
      (a, b) => Math.abs(dense[b]!) - Math.abs(dense[a]!),
    );
    for (const index of order.slice(0, keep)) out[index] = dense[index]!;
  }
  return out;
}

/** A quarter of the blocks of `wide` inputs of an output, chosen by a hash of their position. */
function keepBlocks(dense: Float32Array, K: number, wide: number): Float32Array {
  const out = new Float32Array(dense.length);
  for (let i = 0; i < dense.length; i++) {
    const block = Math.floor(i / K) * 7919 + Math.floor((i % K) / wide);
    if (Math.imul(block, 2654435761) >>> 30 === 0) out[i] = dense[i]!;
  }
  return out;
}
