import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WinnowError } from '../../errors.ts';
import {
  block4ScratchBytes,
  countBlocks4,
  decodeN16,
  encodeN16,
  fillBlock4Matrix,
  fillInt8Matrix,
  fillN16Matrix,
  type Int8Rows,
  reserveBlock4Matrix,
  reserveInt8Matrix,
  reserveN16Matrix,
  reserveQuantizedRows,
  unpackBlock4Matrix,
  unpackN16Matrix,
} from '../../kernels/index.ts';
import { onEveryBackend, randomFloats, randomInt8, randomSource, relativeError, runs } from './helpers.ts';

const test = suite('kernels: sparse products');

const shapes = fc.record({
  rows: fc.integer({ min: 1, max: 70 }),
  inputs: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: 1, max: 150 }) },
    fc.integer({ min: 1000, max: 1200 }),
  ),
  outputs: fc.integer({ min: 1, max: 50 }),
  seed: fc.nat(),
});
type Shape = { rows: number; inputs: number; outputs: number; seed: number };

/** Random int8 rows; `keep(n, k, random)` says which weights stay. */
function sparseRows(
  { inputs, outputs, seed }: Shape,
  keep: (output: number, input: number, random: () => number) => boolean,
): Int8Rows {
  const random = randomSource(seed);
  const data = randomInt8(outputs * inputs, random);
  for (let n = 0; n < outputs; n++) {
    for (let k = 0; k < inputs; k++) if (!keep(n, k, random)) data[n * inputs + k] = 0;
  }
  return { data, scales: randomFloats(outputs, random).map(Math.abs), bias: randomFloats(outputs, random) };
}

/** At most `most` of 16 inputs, at random places; some groups empty. */
function n16Rows(shape: Shape, most: number): Int8Rows {
  let left = 0;
  return sparseRows(shape, (_n, k, random) => {
    if (k % 16 === 0) left = random() < 0.2 ? 0 : most;
    if (left === 0 || random() < 0.4) return false;
    left--;
    return true;
  });
}

test('N:16 and 4x1 products equal the dense product of the same weights, bit for bit', () => {
  fc.assert(
    fc.property(shapes, fc.integer({ min: 1, max: 3 }), (shape, passes) => {
      const n16 = n16Rows(shape, 4 * passes);
      const blocks = sparseRows(shape, (n, k) => ((n * 31 + (k >> 2) * 17 + shape.seed) >> 2) % 4 === 0);
      for (const { backend, result } of onEveryBackend(
        (layout) => ({
          x: layout.reserve(4 * shape.rows * shape.inputs),
          input: reserveQuantizedRows(layout, shape.rows, shape.inputs),
          dense: reserveInt8Matrix(layout, shape.outputs, shape.inputs),
          n16: reserveN16Matrix(layout, shape.outputs, shape.inputs, passes),
          blocks: reserveBlock4Matrix(
            layout,
            shape.outputs,
            shape.inputs,
            countBlocks4(blocks.data, shape.outputs, shape.inputs),
          ),
          scratch: layout.reserve(block4ScratchBytes(shape.inputs)),
          out: layout.reserve(4 * shape.rows * shape.outputs),
        }),
        (kernels, plan) => {
          const { arena } = kernels;
          const { rows } = shape;
          const { input, out, scratch } = plan;
          const count = rows * shape.outputs;
          arena
            .floats(plan.x, rows * shape.inputs)
            .set(randomFloats(rows * shape.inputs, randomSource(shape.seed + 1)));
          kernels.rows.quantizeRows({ x: plan.x, rows, out: input });
          fillN16Matrix(arena, plan.n16, n16);
          fillBlock4Matrix(arena, plan.blocks, blocks);
          assert.equal(unpackN16Matrix(arena, plan.n16), n16);
          assert.equal(unpackBlock4Matrix(arena, plan.blocks), blocks);
          const dense = (weights: Int8Rows) => {
            fillInt8Matrix(arena, plan.dense, [weights]);
            kernels.dense.gemmInt8({ input, rows, weights: plan.dense, out });
            return arena.floats(out, count).slice();
          };
          kernels.sparse.gemmN16({ input, rows, weights: plan.n16, out });
          const fromN16 = arena.floats(out, count).slice();
          kernels.sparse.gemmBlock4({ input, rows, weights: plan.blocks, out, scratch });
          const fromBlocks = arena.floats(out, count).slice();
          return { fromN16, fromBlocks, n16: dense(n16), blocks: dense(blocks) };
        },
      )) {
        assert.equal(result.fromN16, result.n16, `${backend}, N:16`);
        assert.equal(result.fromBlocks, result.blocks, `${backend}, 4x1`);
      }
    }),
    runs(40),
  );
});

test('the file form of N:16 gives back the weights at 6 bytes a group and pass', () => {
  fc.assert(
    fc.property(shapes, fc.integer({ min: 1, max: 3 }), (shape, passes) => {
      const { data } = n16Rows(shape, 4 * passes);
      const bytes = encodeN16(data, shape.outputs, shape.inputs, passes);
      assert.is(bytes.length, shape.outputs * Math.ceil(shape.inputs / 16) * 6 * passes);
      assert.equal(decodeN16(bytes, shape.outputs, shape.inputs, passes), data);
    }),
    runs(40),
  );
});

test('weights outside the pattern, and block indexes outside the matrix, are refused', () => {
  const refused = (body: () => unknown) =>
    assert.throws(body, (error: unknown) => error instanceof WinnowError);
  onEveryBackend(
    (layout) => ({
      n16: reserveN16Matrix(layout, 2, 16, 1),
      blocks: reserveBlock4Matrix(layout, 2, 16, 8),
      input: reserveQuantizedRows(layout, 2, 16),
      scratch: layout.reserve(block4ScratchBytes(16)),
      out: layout.reserve(64),
    }),
    (kernels, { n16, blocks, input, scratch, out }) => {
      const data = new Int8Array(32).fill(1);
      const scales = new Float32Array(2);
      refused(() => fillN16Matrix(kernels.arena, n16, { data, scales }));
      refused(() => encodeN16(data, 2, 16, 1));
      refused(() => decodeN16(new Uint8Array(5), 2, 16, 1));
      fillBlock4Matrix(kernels.arena, blocks, { data, scales });
      kernels.arena.shorts(blocks.indexes, 8)[3] = 4;
      refused(() => kernels.sparse.gemmBlock4({ input, rows: 2, weights: { ...blocks }, out, scratch }));
      kernels.arena.shorts(blocks.indexes, 8)[3] = 3;
      kernels.arena.ints(blocks.counts, 2)[0] = 9;
      refused(() => kernels.sparse.gemmBlock4({ input, rows: 2, weights: { ...blocks }, out, scratch }));
    },
  );
});

test('the thresholded product uses the same inputs on every backend, and equals the masked dense product', () => {
  fc.assert(
    fc.property(
      shapes,
      fc.double({ min: -1, max: 1, noNaN: true }),
      fc.boolean(),
      (shape, threshold, wina) => {
        const { inputs, outputs, seed } = shape;
        for (const { backend, result } of onEveryBackend(
          (layout) => ({
            x: layout.reserve(4 * inputs),
            norms: layout.reserve(4 * inputs),
            w: layout.reserve(4 * inputs * outputs),
            bias: layout.reserve(4 * outputs),
            out: layout.reserve(4 * outputs),
            kept: layout.reserve(4 * inputs),
          }),
          (kernels, plan) => {
            const random = randomSource(seed);
            const x = kernels.arena.floats(plan.x, inputs);
            const norms = kernels.arena.floats(plan.norms, inputs);
            const w = kernels.arena.floats(plan.w, inputs * outputs);
            const bias = kernels.arena.floats(plan.bias, outputs);
            x.set(randomFloats(inputs, random));
            norms.set(randomFloats(inputs, random).map(Math.abs));
            w.set(randomFloats(inputs * outputs, random));
            bias.set(randomFloats(outputs, random));
            const { norms: normsAt, ...regions } = plan;
            const used = kernels.sparse.gemvThresholded({
              ...regions,
              ...(wina ? { norms: normsAt } : {}),
              threshold,
              inputs,
              outputs,
            });
            const score = (k: number) => Math.fround(Math.fround(Math.abs(x[k]!)) * (wina ? norms[k]! : 1));
            const expected = Array.from({ length: inputs }, (_, k) => k).filter(
              (k) => score(k) > Math.fround(threshold),
            );
            assert.equal([...kernels.arena.ints(plan.kept, used)], expected, kernels.backend);
            const exact = Array.from({ length: outputs }, (_, n) =>
              expected.reduce((sum, k) => sum + x[k]! * w[k * outputs + n]!, bias[n]!),
            );
            return { exact, actual: kernels.arena.floats(plan.out, outputs).slice() };
          },
        )) {
          assert.ok(relativeError(result.exact, result.actual) < 1e-5, backend);
        }
      },
    ),
    runs(40),
  );
});

test.run();
