import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WinnowError } from '../../errors.ts';
import {
  attentionScratchBytes,
  describeKernels,
  fillInt8Matrix,
  loadKernels,
  reserveInt8Matrix,
  reserveQuantizedRows,
} from '../../kernels/index.ts';
import { libraries, onEveryBackend, runScript, runs } from './helpers.ts';

const test = suite('kernels: checks and loading');

const refused = (body: () => unknown, code = 'WINNOW_BAD_ARGUMENT') =>
  assert.throws(body, (error: unknown) => error instanceof WinnowError && error.code === code);

test('offsets and sizes outside the arena are refused before a kernel runs', () => {
  const wild = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.constantFrom(-1, 0, 2, 2 ** 31, 2 ** 32, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY),
  );
  onEveryBackend(
    (layout) => ({
      x: layout.reserve(4 * 8 * 20),
      quantized: reserveQuantizedRows(layout, 8, 20),
      weights: reserveInt8Matrix(layout, 10, 20),
      starts: layout.reserve(12),
      out: layout.reserve(4 * 8 * 32),
      scratch: layout.reserve(attentionScratchBytes(8, 16)),
    }),
    (kernels, { x, quantized, weights, starts, out, scratch }) => {
      fc.assert(
        fc.property(wild, wild, (a, b) => {
          const size = kernels.arena.u8.byteLength;
          const inside = (value: number) => Number.isInteger(value) && value >= 64 && value < size;
          fc.pre(!inside(a) && a !== 8 && a !== 1 && !(a >= 1 && a <= 8));
          refused(() => kernels.rows.quantizeRows({ x: a, rows: 8, out: quantized }));
          refused(() => kernels.rows.quantizeRows({ x, rows: a, out: quantized }));
          refused(() => kernels.rows.quantizeRows({ x, rows: 8, out: { ...quantized, values: a } }));
          refused(() => kernels.rows.quantizeRows({ x, rows: 8, out: { ...quantized, stride: a } }));
          refused(() => kernels.dense.gemmInt8({ input: quantized, rows: a, weights, out }));
          refused(() =>
            kernels.dense.gemmInt8({ input: quantized, rows: 8, weights: { ...weights, values: a }, out }),
          );
          refused(() =>
            kernels.dense.gemmInt8({
              input: quantized,
              rows: 8,
              weights: { ...weights, outputs: a },
              out: b,
            }),
          );
          refused(() => kernels.rows.gelu(x, a === 0 ? -1 : Math.abs(a) > size ? a : -1));
          kernels.arena.ints(starts, 3).set([0, 9, 4]);
          const bad = { starts, documents: 2 };
          refused(() => kernels.head.argmaxInt8({ input: quantized, ...bad, weights, out, outStride: 32 }));
          refused(() =>
            kernels.attention.attend({ qkv: x, starts, sequences: 2, heads: 1, headSize: 16, out, scratch }),
          );
        }),
        runs(50),
      );
    },
  );
});

test('token ids, positions and types outside their tables are refused', () => {
  onEveryBackend(
    (layout) => ({
      ids: layout.reserve(16),
      zeros: layout.reserve(16),
      words: reserveInt8Matrix(layout, 5, 20),
      table: layout.reserve(4 * 20 * 4),
      out: layout.reserve(4 * 20 * 4),
    }),
    (kernels, { ids, zeros, words, table, out }) => {
      for (const id of [-1, 5, 2 ** 31 - 1]) {
        kernels.arena.ints(ids, 4).fill(0)[2] = id;
        const tables = { words, places: table, placeCount: 4, kinds: table, kindCount: 4, out };
        refused(() => kernels.rows.embed({ ids, positions: zeros, types: zeros, rows: 4, ...tables }));
        refused(() => kernels.rows.embed({ ids: zeros, positions: ids, types: zeros, rows: 4, ...tables }));
        refused(() => kernels.rows.embed({ ids: zeros, positions: zeros, types: ids, rows: 4, ...tables }));
      }
    },
  );
});

test('weights of another shape are refused', () => {
  onEveryBackend(
    (layout) => reserveInt8Matrix(layout, 4, 8),
    (kernels, matrix) => {
      const part = { data: new Int8Array(31), scales: new Float32Array(4) };
      refused(() => fillInt8Matrix(kernels.arena, matrix, [part]), 'WINNOW_MODEL_INVALID');
      refused(() => fillInt8Matrix(kernels.arena, matrix, []), 'WINNOW_MODEL_INVALID');
    },
  );
});

test('the report names the backend, and WINNOW_KERNELS overrides it', () => {
  const report = describeKernels('reference');
  assert.is(report.backend, 'reference');
  assert.is(report.instructions, 'typescript');
  const script = `import { describeKernels } from './kernels/index.ts';
    try { console.log(describeKernels().backend); } catch (error) { console.log(error.code); }`;
  assert.is(runScript(script, { WINNOW_KERNELS: 'reference' }).trim(), 'reference');
  assert.is(runScript(script, { WINNOW_KERNELS: 'abacus' }).trim(), 'WINNOW_BAD_ARGUMENT');
});

const hasNative = libraries.some(({ backend }) => backend === 'native');

(hasNative ? test : test.skip)('WINNOW_CPU lowers the instruction set; integers stay the same', () => {
  const script = `import { ArenaLayout, fillInt8Matrix, loadKernels, reserveInt8Matrix, reserveQuantizedRows } from './kernels/index.ts';
    const library = loadKernels('native');
    const layout = new ArenaLayout(library.arenaStart);
    const [rows, inputs, outputs] = [71, 147, 61];
    const x = layout.reserve(4 * rows * inputs);
    const input = reserveQuantizedRows(layout, rows, inputs);
    const weights = reserveInt8Matrix(layout, outputs, inputs);
    const out = layout.reserve(4 * rows * outputs);
    const kernels = library.bind(library.newMemory(layout.sizeBytes));
    kernels.arena.floats(x, rows * inputs).forEach((_, i, all) => { all[i] = Math.sin(i * i); });
    const data = Int8Array.from({ length: outputs * inputs }, (_, i) => (i * 7919) % 255 - 127);
    fillInt8Matrix(kernels.arena, weights, [{ data, scales: new Float32Array(outputs).fill(1) }]);
    kernels.rows.quantizeRows({ x, rows, out: input });
    // Scales of 1 and minimums of 0 leave the integers of the product as they are.
    kernels.arena.floats(input.scales, rows).fill(1);
    kernels.arena.floats(input.minimums, rows).fill(0);
    kernels.dense.gemmInt8({ input, rows, weights, out });
    const { createHash } = await import('node:crypto');
    console.log(library.instructions, createHash('sha1').update(kernels.arena.bytes(out, 4 * rows * outputs)).digest('hex'));`;
  const outcomes = ['amx', 'vnni', 'avx2', 'baseline'].map((cpu) =>
    runScript(script, { WINNOW_CPU: cpu }).trim().split(' '),
  );
  assert.is(new Set(outcomes.map(([, hash]) => hash)).size, 1, JSON.stringify(outcomes));
  if (process.arch === 'x64') assert.is(outcomes.at(-1)![0], 'baseline');
});

const onX64 = hasNative && process.arch === 'x64' ? test : test.skip;

onX64('a lower instruction set than the best comes with its reason', () => {
  const script = `import { describeKernels } from './kernels/index.ts';
    console.log(JSON.stringify(describeKernels('native')));`;
  const report = (cpu: string) => JSON.parse(runScript(script, { WINNOW_CPU: cpu }));
  assert.is(report('baseline').instructionsReason, 'limited by WINNOW_CPU');
  const best = report('');
  assert.is(best.instructionsReason === undefined, best.instructions === 'amx');
});

(hasNative ? test.skip : test)('a backend that is named and cannot load says how to get it', () => {
  refused(() => loadKernels('native'), 'WINNOW_KERNEL_UNAVAILABLE');
});

test.run();
