import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  attentionScratchBytes,
  fillF32Matrix,
  reserveF32Matrix,
  reserveQuantizedRows,
} from '../../kernels/index.ts';
import { onEveryBackend, randomFloats, randomSource, relativeError, runs } from './helpers.ts';

const test = suite('kernels: f32');

/** Each backend's result within `tolerance` of the reference, relative to the largest value. */
function agree(results: { backend: string; result: Float32Array }[], tolerance: number) {
  for (const { backend, result } of results) {
    const error = relativeError(results[0]!.result, result);
    assert.ok(error < tolerance, `${backend}: relative error ${error}`);
  }
}

test('f32 products agree with the reference', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: 1, max: 70 }),
      fc.nat(),
      (rows, inputs, outputs, seed) => {
        agree(
          onEveryBackend(
            (layout) => ({
              x: layout.reserve(4 * rows * inputs),
              weights: reserveF32Matrix(layout, outputs, inputs),
              out: layout.reserve(4 * rows * outputs),
            }),
            (kernels, { x, weights, out }) => {
              const random = randomSource(seed);
              kernels.arena.floats(x, rows * inputs).set(randomFloats(rows * inputs, random));
              const data = randomFloats(outputs * inputs, random);
              fillF32Matrix(kernels.arena, weights, data, randomFloats(outputs, random));
              kernels.dense.gemmF32({ x, rows, weights, out });
              return kernels.arena.floats(out, rows * outputs).slice();
            },
          ),
          1e-5,
        );
      },
    ),
    runs(40),
  );
});

test('GELU agrees with the reference from -50 to 50', () => {
  const count = 4001;
  agree(
    onEveryBackend(
      (layout) => layout.reserve(4 * count),
      (kernels, x) => {
        const values = kernels.arena.floats(x, count);
        for (let i = 0; i < count; i++) values[i] = i < 2001 ? (i - 1000) / 200 : (i - 3000) / 20;
        kernels.rows.gelu(x, count);
        return values.slice();
      },
    ),
    1e-6,
  );
});

test('LayerNorm with residual agrees, and its quantised rows are those of its result', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 2, max: 90 }),
      fc.nat(),
      (rows, columns, seed) => {
        const results = onEveryBackend(
          (layout) => ({
            x: layout.reserve(4 * rows * columns),
            residual: layout.reserve(4 * rows * columns),
            gamma: layout.reserve(4 * columns),
            beta: layout.reserve(4 * columns),
            fused: reserveQuantizedRows(layout, rows, columns),
            after: reserveQuantizedRows(layout, rows, columns),
          }),
          (kernels, { x, residual, gamma, beta, fused, after }) => {
            const random = randomSource(seed);
            for (const offset of [x, residual]) {
              kernels.arena.floats(offset, rows * columns).set(randomFloats(rows * columns, random));
            }
            for (const offset of [gamma, beta])
              kernels.arena.floats(offset, columns).set(randomFloats(columns, random));
            const out = residual;
            kernels.rows.layerNorm({
              x,
              residual,
              gamma,
              beta,
              epsilon: 1e-6,
              out,
              rows,
              columns,
              quantized: fused,
            });
            kernels.rows.quantizeRows({ x: out, rows, out: after });
            assert.equal(
              kernels.arena.bytes(fused.values, rows * fused.stride),
              kernels.arena.bytes(after.values, rows * after.stride),
              kernels.backend,
            );
            return kernels.arena.floats(out, rows * columns).slice();
          },
        );
        agree(results, 1e-5);
      },
    ),
    runs(40),
  );
});

for (const [method, tolerance] of [
  ['attend', 5e-5],
  ['attendInt16', 4e-3],
] as const)
  test(`${method}: attention of ragged batches agrees with the reference, 1 to 513 tokens, for all or the first queries`, () => {
    const check = (
      lengths: number[],
      heads: number,
      headSize: number,
      queries: number | undefined,
      seed: number,
    ) => {
      const rows = lengths.reduce((sum, length) => sum + length, 0);
      const width = heads * headSize;
      agree(
        onEveryBackend(
          (layout) => ({
            qkv: layout.reserve(12 * rows * width),
            starts: layout.reserve(4 * (lengths.length + 1)),
            out: layout.reserve(4 * rows * width),
            scratch: layout.reserve(attentionScratchBytes(Math.max(...lengths), headSize)),
          }),
          (kernels, { qkv, starts, out, scratch }) => {
            kernels.arena
              .floats(qkv, 3 * rows * width)
              .set(randomFloats(3 * rows * width, randomSource(seed), 8));
            const offsets = kernels.arena.ints(starts, lengths.length + 1);
            lengths.forEach((length, d) => {
              offsets[d + 1] = offsets[d]! + length;
            });
            kernels.arena.floats(out, rows * width).fill(7);
            const call = { qkv, starts, sequences: lengths.length, heads, headSize, out, scratch };
            kernels.attention[method](queries === undefined ? call : { ...call, queries });
            return kernels.arena.floats(out, rows * width).slice();
          },
        ),
        tolerance,
      );
    };
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom(16, 32, 48, 64),
        fc.option(fc.integer({ min: 1, max: 45 }), { nil: undefined }),
        fc.nat(),
        check,
      ),
      runs(40),
    );
    check([513, 1, 512], 1, 16, undefined, 7);
    check([513, 1, 512], 1, 16, 1, 7);
  });

test.run();
