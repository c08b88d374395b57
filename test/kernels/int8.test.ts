import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ArenaLayout,
  fillInt8Matrix,
  gatherOutputs,
  type Kernels,
  padTo,
  reserveInt8Matrix,
  reserveQuantizedRows,
  unpackInt8Matrix,
} from '../../kernels/index.ts';
import { onEveryBackend, randomFloats, randomInt8, randomSource, relativeError, runs } from './helpers.ts';

const test = suite('kernels: int8 products');

interface Shape {
  rows: number;
  inputs: number;
  outputs: number;
  seed: number;
}

const shapes = fc.record({
  // Tiles of AMX take 32 rows and 64 inputs: both sides of several of them.
  rows: fc.integer({ min: 1, max: 70 }),
  inputs: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: 1, max: 150 }) },
    fc.integer({ min: 1000, max: 1200 }),
  ),
  outputs: fc.integer({ min: 1, max: 70 }),
  seed: fc.nat(),
});

const plan =
  ({ rows, inputs, outputs }: Shape) =>
  (layout: ArenaLayout) => ({
    x: layout.reserve(4 * rows * inputs),
    quantized: reserveQuantizedRows(layout, rows, inputs),
    weights: reserveInt8Matrix(layout, outputs, inputs),
    out: layout.reserve(4 * rows * padTo(outputs, 32)),
    starts: layout.reserve(4 * 3),
  });

function fill(kernels: Kernels, planned: ReturnType<ReturnType<typeof plan>>, shape: Shape, extreme = false) {
  const random = randomSource(shape.seed);
  const x = kernels.arena.floats(planned.x, shape.rows * shape.inputs);
  x.set(randomFloats(x.length, random, 8));
  const data = randomInt8(shape.outputs * shape.inputs, random);
  if (extreme) data.fill(random() < 0.5 ? -128 : 127);
  const scales = randomFloats(shape.outputs, random).map(Math.abs);
  const bias = randomFloats(shape.outputs, random);
  fillInt8Matrix(kernels.arena, planned.weights, [{ data, scales, bias }]);
  kernels.rows.quantizeRows({ x: planned.x, rows: shape.rows, out: planned.quantized });
  if (extreme) kernels.arena.bytes(planned.quantized.values, shape.rows * planned.quantized.stride).fill(127);
  return { data, scales, bias };
}

/** Scales of 1, minimums and biases of 0: a product is then its integer, exact in f32 up to 2^24. */
function withUnitScales(
  { arena }: Kernels,
  { quantized, weights }: ReturnType<ReturnType<typeof plan>>,
  shape: Shape,
) {
  arena.floats(quantized.scales, shape.rows).fill(1);
  arena.floats(quantized.minimums, shape.rows).fill(0);
  arena.floats(weights.scales, shape.outputs).fill(1);
  arena.floats(weights.bias, shape.outputs).fill(0);
}

test('quantised rows are identical bytes on every backend', () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const results = onEveryBackend(plan(shape), (kernels, planned) => {
        fill(kernels, planned, shape);
        return Buffer.from(
          kernels.arena.bytes(planned.quantized.values, shape.rows * planned.quantized.stride),
        ).toString('hex');
      });
      for (const { backend, result } of results) assert.is(result, results[0]!.result, backend);
    }),
    runs(60),
  );
});

test('integer products are bit-equal on every backend, and right', () => {
  fc.assert(
    fc.property(shapes, fc.boolean(), (shape, extreme) => {
      const results = onEveryBackend(plan(shape), (kernels, planned) => {
        const { data } = fill(kernels, planned, shape, extreme);
        withUnitScales(kernels, planned, shape);
        kernels.dense.gemmInt8({
          input: planned.quantized,
          rows: shape.rows,
          weights: planned.weights,
          out: planned.out,
        });
        const bytes = kernels.arena.bytes(planned.quantized.values, shape.rows * planned.quantized.stride);
        const expected: number[] = [];
        for (let t = 0; t < shape.rows; t++) {
          for (let n = 0; n < shape.outputs; n++) {
            let sum = 0;
            for (let k = 0; k < shape.inputs; k++) {
              sum += bytes[t * planned.quantized.stride + k]! * data[n * shape.inputs + k]!;
            }
            expected.push(Math.fround(sum));
          }
        }
        return { actual: [...kernels.arena.floats(planned.out, shape.rows * shape.outputs)], expected };
      });
      for (const { backend, result } of results) assert.equal(result.actual, result.expected, backend);
    }),
    runs(60),
  );
});

test('scaled products stay within rounding of the reference', () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const results = onEveryBackend(plan(shape), (kernels, planned) => {
        fill(kernels, planned, shape);
        kernels.dense.gemmInt8({
          input: planned.quantized,
          rows: shape.rows,
          weights: planned.weights,
          out: planned.out,
        });
        return kernels.arena.floats(planned.out, shape.rows * shape.outputs).slice();
      });
      for (const { backend, result } of results) {
        assert.ok(relativeError(results[0]!.result, result) < 2e-6, backend);
      }
    }),
    runs(40),
  );
});

test('the fused head equals the maximum over the unfused product; an empty document gets -Infinity', () => {
  fc.assert(
    fc.property(shapes, fc.nat(), (shape, cut) => {
      const first = cut % (shape.rows + 1);
      const wide = padTo(shape.outputs, 32);
      for (const { backend, result } of onEveryBackend(
        (layout) => ({ ...plan(shape)(layout), maxima: layout.reserve(4 * 2 * wide) }),
        (kernels, planned) => {
          fill(kernels, planned, shape);
          kernels.arena.ints(planned.starts, 3).set([0, first, shape.rows]);
          const { quantized: input, weights } = planned;
          kernels.dense.gemmInt8({ input, rows: shape.rows, weights, out: planned.out });
          const { starts, maxima } = planned;
          kernels.head.argmaxInt8({ input, starts, documents: 2, weights, out: maxima, outStride: wide });
          const product = kernels.arena.floats(planned.out, shape.rows * shape.outputs);
          const expected = [0, 1].map((d) =>
            Array.from({ length: shape.outputs }, (_, n) => {
              let best = -Infinity;
              for (let t = d === 0 ? 0 : first; t < (d === 0 ? first : shape.rows); t++) {
                best = Math.max(best, product[t * shape.outputs + n]!);
              }
              return best;
            }),
          );
          const actual = [0, 1].map((d) =>
            kernels.arena.floats(maxima + 4 * d * wide, shape.outputs).slice(),
          );
          return { expected, actual };
        },
      )) {
        result.expected.forEach((row, d) => {
          if (row[0] === -Infinity)
            assert.ok(
              result.actual[d]!.every((value) => value === -Infinity),
              backend,
            );
          else assert.ok(relativeError(row, result.actual[d]!) < 2e-6, backend);
        });
      }
    }),
    runs(40),
  );
});

test('unpacking gives back what was packed', () => {
  fc.assert(
    fc.property(shapes, (shape) => {
      const [first] = onEveryBackend(plan(shape), (kernels, planned) => {
        const given = fill(kernels, planned, shape);
        return { given, back: unpackInt8Matrix(kernels.arena, planned.weights) };
      });
      assert.equal(first!.result.back.data, first!.result.given.data);
      assert.equal(first!.result.back.scales, first!.result.given.scales);
    }),
    runs(20),
  );
});

test('rows that are constant, huge or tiny quantise without NaN', () => {
  const shape = { rows: 4, inputs: 19, outputs: 3, seed: 1 };
  const results = onEveryBackend(plan(shape), (kernels, planned) => {
    const x = kernels.arena.floats(planned.x, shape.rows * shape.inputs);
    x.fill(0).fill(3e38, 19, 20).fill(-3, 38, 57).fill(1e-40, 57, 60);
    kernels.rows.quantizeRows({ x: planned.x, rows: shape.rows, out: planned.quantized });
    const scales = [...kernels.arena.floats(planned.quantized.scales, 4)];
    assert.ok(scales.every(Number.isFinite));
    return createHash('sha1')
      .update(kernels.arena.bytes(planned.quantized.values, shape.rows * planned.quantized.stride))
      .digest('hex');
  });
  for (const { backend, result } of results) assert.is(result, results[0]!.result, backend);
});

test('gathered outputs are multiplied as in the whole matrix', () => {
  fc.assert(
    fc.property(shapes, fc.array(fc.nat(), { minLength: 1, maxLength: 70 }), (shape, picks) => {
      const outputs = Int32Array.from(picks, (pick) => pick % shape.outputs);
      onEveryBackend(
        (layout) => ({
          ...plan(shape)(layout),
          gathered: reserveInt8Matrix(layout, outputs.length, shape.inputs),
          few: layout.reserve(4 * shape.rows * padTo(outputs.length, 32)),
        }),
        (kernels, planned) => {
          fill(kernels, planned, shape);
          const input = { input: planned.quantized, rows: shape.rows };
          kernels.dense.gemmInt8({ ...input, weights: planned.weights, out: planned.out });
          const weights = gatherOutputs(kernels.arena, planned.weights, outputs, planned.gathered);
          kernels.dense.gemmInt8({ ...input, weights, out: planned.few });
          const all = kernels.arena.floats(planned.out, shape.rows * shape.outputs);
          const few = kernels.arena.floats(planned.few, shape.rows * outputs.length);
          for (let row = 0; row < shape.rows; row++)
            outputs.forEach((output, i) => {
              assert.is(few[row * outputs.length + i], all[row * shape.outputs + output]);
            });
        },
      );
    }),
    { numRuns: 40 },
  );
});

test.run();
