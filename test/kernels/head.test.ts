import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  fillF32Matrix,
  fillInt8Matrix,
  padTo,
  reserveF32Matrix,
  reserveInt8Matrix,
  reserveQuantizedRows,
} from '../../kernels/index.ts';
import { onEveryBackend, randomFloats, randomInt8, randomSource, relativeError, runs } from './helpers.ts';

const test = suite('kernels: vocabulary head');

const shapes = fc.record({
  rows: fc.integer({ min: 1, max: 80 }),
  cut: fc.nat(),
  columns: fc.integer({ min: 1, max: 140 }),
  terms: fc.integer({ min: 1, max: 70 }),
  seed: fc.nat(),
});

test('int8 and f32 argmax name the first row that has the maximum, whose exact value scorePairs gives', () => {
  fc.assert(
    fc.property(shapes, ({ rows, cut, columns, terms, seed }) => {
      const wide = padTo(terms, 32);
      const middle = cut % (rows + 1);
      const results = onEveryBackend(
        (layout) => ({
          x: layout.reserve(4 * rows * columns),
          input: reserveQuantizedRows(layout, rows, columns),
          int8: reserveInt8Matrix(layout, terms, columns),
          f32: reserveF32Matrix(layout, terms, columns),
          starts: layout.reserve(12),
          out: layout.reserve(8 * wide),
          argmaxRow: layout.reserve(8 * wide),
          pairRows: layout.reserve(4 * terms),
          pairTerms: layout.reserve(4 * terms),
          scores: layout.reserve(4 * terms),
          product: layout.reserve(4 * rows * terms),
        }),
        (kernels, plan) => {
          const { arena } = kernels;
          const random = randomSource(seed);
          arena.floats(plan.x, rows * columns).set(randomFloats(rows * columns, random));
          const data = randomInt8(terms * columns, random);
          const scales = new Float32Array(terms).fill(0.01);
          const bias = randomFloats(terms, random);
          fillInt8Matrix(arena, plan.int8, [{ data, scales, bias }]);
          fillF32Matrix(
            arena,
            plan.f32,
            Float32Array.from(data, (value) => value * 0.01),
            bias,
          );
          kernels.rows.quantizeRows({ x: plan.x, rows, out: plan.input });
          arena.ints(plan.starts, 3).set([0, middle, rows]);
          const { input, starts, out, argmaxRow } = plan;
          const call = { starts, documents: 2, out, argmaxRow, outStride: wide };
          kernels.head.argmaxInt8({ ...call, input, weights: plan.int8 });
          const int8 = {
            best: arena.floats(out, 2 * wide).slice(),
            rows: arena.ints(argmaxRow, 2 * wide).slice(),
          };
          kernels.dense.gemmInt8({ input, rows, weights: plan.int8, out: plan.product });
          const product = arena.floats(plan.product, rows * terms).slice();
          kernels.head.argmaxInt8({ starts, documents: 2, out, outStride: wide, input, weights: plan.int8 });
          const only = arena.floats(out, 2 * wide).slice();
          kernels.head.argmaxF32({ ...call, x: plan.x, weights: plan.f32 });
          const f32 = {
            best: arena.floats(out, 2 * wide).slice(),
            rows: arena.ints(argmaxRow, 2 * wide).slice(),
          };
          const pairs = middle === rows ? 0 : terms;
          const rescored: number[] = [];
          if (pairs > 0) {
            for (let n = 0; n < terms; n++) {
              arena.ints(plan.pairRows, terms)[n] = f32.rows[wide + n]!;
              arena.ints(plan.pairTerms, terms)[n] = n;
            }
            const { pairRows, pairTerms } = plan;
            kernels.head.scorePairs({
              x: plan.x,
              rowCount: rows,
              weights: plan.int8,
              rows: pairRows,
              terms: pairTerms,
              pairs,
              out: plan.scores,
            });
            rescored.push(...arena.floats(plan.scores, terms));
          }
          return { int8, only, f32, rescored, product };
        },
      );
      for (const { backend, result } of results) {
        for (let d = 0; d < 2; d++) {
          const own = (values: Float32Array) => values.subarray(d * wide, d * wide + terms);
          const empty = d === 0 ? middle === 0 : middle === rows;
          for (const { best, rows: argmax } of [result.int8, result.f32]) {
            for (let n = 0; n < terms; n++) {
              const row = argmax[d * wide + n]!;
              if (empty) assert.is(row, -1, backend);
              else assert.ok(row >= (d === 0 ? 0 : middle) && row < (d === 0 ? middle : rows), backend);
            }
            if (empty) assert.ok(own(best).every((value) => value === -Infinity));
          }
          if (empty) continue;
          assert.ok(relativeError(own(result.only), own(result.int8.best)) < 2e-6, backend);
          const atArgmax = own(result.int8.best).map(
            (_, n) => result.product[result.int8.rows[d * wide + n]! * terms + n]!,
          );
          assert.ok(relativeError(own(result.only), atArgmax) < 2e-6, backend);
          assert.ok(relativeError(own(results[0]!.result.f32.best), own(result.f32.best)) < 1e-5, backend);
          if (d === 1) assert.ok(relativeError(own(result.f32.best), result.rescored) < 1e-5, backend);
        }
      }
    }),
    runs(30),
  );
});

test('the sparse backward step equals central differences of the maximum', () => {
  const [rows, columns, terms] = [7, 19, 23];
  for (const { backend, result } of onEveryBackend(
    (layout) => ({
      x: layout.reserve(4 * rows * columns),
      w: layout.reserve(4 * terms * columns),
      dx: layout.reserve(4 * rows * columns),
      dw: layout.reserve(4 * terms * columns),
      rows: layout.reserve(4 * terms),
      terms: layout.reserve(4 * terms),
      gradients: layout.reserve(4 * terms),
    }),
    (kernels, plan) => {
      const { arena } = kernels;
      const random = randomSource(11);
      const x = arena.floats(plan.x, rows * columns);
      const w = arena.floats(plan.w, terms * columns);
      x.set(randomFloats(x.length, random));
      w.set(randomFloats(w.length, random));
      const g = randomFloats(terms, random);
      const logit = (t: number, n: number) => {
        let sum = 0;
        for (let k = 0; k < columns; k++) sum += x[t * columns + k]! * w[n * columns + k]!;
        return sum;
      };
      /** sum over terms of g * max over rows */
      const loss = () => {
        let sum = 0;
        for (let n = 0; n < terms; n++) {
          let best = -Infinity;
          for (let t = 0; t < rows; t++) best = Math.max(best, logit(t, n));
          sum += g[n]! * best;
        }
        return sum;
      };
      for (let n = 0; n < terms; n++) {
        let best = 0;
        for (let t = 1; t < rows; t++) if (logit(t, n) > logit(best, n)) best = t;
        arena.ints(plan.rows, terms)[n] = best;
        arena.ints(plan.terms, terms)[n] = n;
      }
      arena.floats(plan.gradients, terms).set(g);
      kernels.head.backward({ ...plan, rowCount: rows, termCount: terms, columns, pairs: terms });
      const numeric = (values: Float32Array) =>
        Array.from(values, (value, i) => {
          values[i] = value + 1e-3;
          const above = loss();
          const up = values[i]!;
          values[i] = value - 1e-3;
          const below = loss();
          const down = values[i]!;
          values[i] = value;
          return (above - below) / (up - down);
        });
      return [
        { exact: numeric(x), actual: arena.floats(plan.dx, rows * columns).slice() },
        { exact: numeric(w), actual: arena.floats(plan.dw, terms * columns).slice() },
      ];
    },
  )) {
    for (const { exact, actual } of result) assert.ok(relativeError(exact, actual) < 1e-4, backend);
  }
});

test.run();
