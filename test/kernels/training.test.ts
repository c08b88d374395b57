import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ArenaLayout,
  attentionBackwardScratchBytes,
  GEMM_SCRATCH_BYTES,
  type Kernels,
  rowMajor,
  transposed,
} from '../../kernels/index.ts';
import { libraries, onEveryBackend, randomFloats, randomSource, relativeError, runs } from './helpers.ts';

const test = suite('kernels: training');

/** Each backend's result within `tolerance` of the reference, relative to the largest value. */
function agree(results: { backend: string; result: Float32Array }[], tolerance: number) {
  for (const { backend, result } of results) {
    const error = relativeError(results[0]!.result, result);
    assert.ok(error < tolerance, `${backend}: relative error ${error}`);
  }
}

/** Regions of f32 by name, filled with random numbers in -1..1. */
function regions<Name extends string>(sizes: Record<Name, number>, seed: number) {
  const names = Object.keys(sizes) as Name[];
  return {
    plan: (layout: ArenaLayout) =>
      Object.fromEntries(names.map((name) => [name, layout.reserve(4 * sizes[name])])) as Record<
        Name,
        number
      >,
    fill(kernels: Kernels, at: Record<Name, number>) {
      const random = randomSource(seed);
      for (const name of names)
        kernels.arena.floats(at[name], sizes[name]).set(randomFloats(sizes[name], random));
    },
  };
}

const size = (max: number) => fc.integer({ min: 1, max });

test('products of any strides agree with the reference, and do not write beside c', () => {
  fc.assert(
    fc.property(
      size(40),
      size(70),
      fc.oneof(size(40), fc.integer({ min: 250, max: 530 })),
      fc.boolean(),
      fc.boolean(),
      fc.boolean(),
      size(5),
      fc.nat(),
      (rows, columns, depth, turnA, turnB, accumulate, extra, seed) => {
        const cRow = columns + extra;
        const { plan, fill } = regions(
          {
            a: rows * depth,
            b: depth * columns,
            bias: columns,
            c: rows * cRow,
            scratch: GEMM_SCRATCH_BYTES / 4,
          },
          seed,
        );
        agree(
          onEveryBackend(plan, (kernels, at) => {
            fill(kernels, at);
            kernels.training.gemm({
              a: turnA ? transposed(rowMajor(at.a, rows)) : rowMajor(at.a, depth),
              b: turnB ? transposed(rowMajor(at.b, depth)) : rowMajor(at.b, columns),
              bias: at.bias,
              c: at.c,
              cRow,
              rows,
              columns,
              depth,
              accumulate,
              scratch: at.scratch,
            });
            return kernels.arena.floats(at.c, rows * cRow).slice();
          }),
          1e-5,
        );
      },
    ),
    runs(80),
  );
});

test('a product in pieces has the bits of the whole one', () => {
  const [rows, columns, depth] = [61, 75, 300];
  const { plan, fill } = regions(
    { a: rows * depth, b: depth * columns, c: rows * columns, scratch: GEMM_SCRATCH_BYTES / 4 },
    5,
  );
  onEveryBackend(plan, (kernels, at) => {
    const run = (piece: number) => {
      fill(kernels, at);
      for (let first = 0; first < rows; first += piece)
        kernels.training.gemm({
          a: rowMajor(at.a + 4 * first * depth, depth),
          b: rowMajor(at.b, columns),
          c: at.c + 4 * first * columns,
          cRow: columns,
          rows: Math.min(piece, rows - first),
          columns,
          depth,
          scratch: at.scratch,
        });
      return kernels.arena.bytes(at.c, 4 * rows * columns).slice();
    };
    const whole = run(rows);
    for (const piece of [1, 5, 7, 12, 32]) assert.equal(run(piece), whole, `${kernels.backend}, ${piece}`);
  });
});

test('LayerNorm and its gradient agree with the reference', () => {
  fc.assert(
    fc.property(size(9), size(70), fc.boolean(), fc.nat(), (rows, columns, hasResidual, seed) => {
      const all = rows * columns;
      const { plan, fill } = regions(
        {
          x: all,
          residual: all,
          gamma: columns,
          beta: columns,
          normal: all,
          inverse: rows,
          out: all,
          dx: all,
        },
        seed,
      );
      agree(
        onEveryBackend(plan, (kernels, at) => {
          fill(kernels, at);
          const { residual, beta, ...shared } = { ...at, rows, columns };
          kernels.training.layerNormForward({
            ...shared,
            ...(hasResidual && { residual }),
            beta,
            epsilon: 1e-3,
          });
          kernels.training.layerNormBackward({ ...shared, dOut: residual });
          return Float32Array.from(
            [at.normal, at.out, at.dx].flatMap((offset) => [...kernels.arena.floats(offset, all)]),
          );
        }),
        2e-5,
      );
    }),
    runs(60),
  );
});

test('the gradient of GELU agrees with the reference from -50 to 50', () => {
  const count = 4001;
  const { plan, fill } = regions({ x: count, dOut: count, dx: count }, 3);
  agree(
    onEveryBackend(plan, (kernels, at) => {
      fill(kernels, at);
      const x = kernels.arena.floats(at.x, count);
      for (let i = 0; i < count; i++) x[i] = i < 2001 ? (i - 1000) / 200 : (i - 3000) / 20;
      kernels.training.geluBackward({ ...at, count });
      return kernels.arena.floats(at.dx, count).slice();
    }),
    2e-6,
  );
});

test('the gradient of attention agrees with the reference on ragged batches', () => {
  const check = (lengths: number[], heads: number, headSize: number, seed: number) => {
    const rows = lengths.reduce((sum, length) => sum + length, 0);
    const width = heads * headSize;
    const { plan, fill } = regions(
      {
        qkv: 3 * rows * width,
        dOut: rows * width,
        dQkv: 3 * rows * width,
        starts: lengths.length + 1,
        scratch: attentionBackwardScratchBytes(Math.max(...lengths)) / 4,
      },
      seed,
    );
    agree(
      onEveryBackend(plan, (kernels, at) => {
        fill(kernels, at);
        const qkv = kernels.arena.floats(at.qkv, 3 * rows * width);
        for (let i = 0; i < qkv.length; i++) qkv[i]! *= 3;
        const starts = kernels.arena.ints(at.starts, lengths.length + 1);
        starts[0] = 0;
        lengths.forEach((length, d) => {
          starts[d + 1] = starts[d]! + length;
        });
        kernels.training.attentionBackward({ ...at, sequences: lengths.length, heads, headSize });
        return kernels.arena.floats(at.dQkv, 3 * rows * width).slice();
      }),
      5e-5,
    );
  };
  fc.assert(
    fc.property(
      fc.array(size(40), { minLength: 1, maxLength: 4 }),
      size(3),
      fc.constantFrom(16, 32, 48, 64),
      fc.nat(),
      check,
    ),
    runs(30),
  );
  check([290, 1], 1, 16, 7);
});

test('sums over rows and of squares, and AdamW, agree with the reference', () => {
  fc.assert(
    fc.property(size(40), size(70), size(6), fc.boolean(), fc.nat(), (rows, columns, extra, both, seed) => {
      const stride = columns + extra;
      const { plan, fill } = regions(
        {
          x: rows * stride,
          other: rows * stride,
          out: columns,
          g: rows * columns,
          first: rows * columns,
          second: rows * columns,
          square: 1,
        },
        seed,
      );
      agree(
        onEveryBackend(plan, (kernels, at) => {
          fill(kernels, at);
          const { x, other, out, g, first, second, square } = at;
          kernels.training.columnSums({ x, ...(both && { other }), out, rows, columns, stride });
          kernels.training.sumSquares(g, rows * columns, square);
          const moments = kernels.arena.floats(second, rows * columns);
          moments.forEach((v, i) => {
            moments[i] = v * v;
          });
          kernels.training.adamw({
            w: x,
            g,
            first,
            second,
            rows,
            columns,
            stride,
            clip: 0.7,
            rate: 0.01,
            decay: 0.001,
            beta1: 0.9,
            beta2: 0.98,
            rootCorrection: 1.3,
            epsilon: 1e-3,
          });
          return Float32Array.from([
            ...kernels.arena.floats(out, columns),
            kernels.arena.f32[square / 4]! / (rows * columns),
            ...kernels.arena.floats(x, rows * stride),
            ...kernels.arena.floats(second, rows * columns),
          ]);
        }),
        1e-5,
      );
    }),
    runs(60),
  );
});

test('bad strides and regions are refused', () => {
  const { plan } = regions({ a: 64, scratch: GEMM_SCRATCH_BYTES / 4 }, 1);
  for (const library of libraries) {
    const results = onEveryBackend(plan, (kernels, at) => {
      const call = {
        b: rowMajor(at.a, 8),
        c: at.a,
        cRow: 8,
        rows: 8,
        columns: 8,
        depth: 8,
        scratch: at.scratch,
      };
      const bad = [
        { ...call, a: { offset: at.a, row: 8, column: 2 } },
        { ...call, a: rowMajor(at.a, 8), cRow: 7 },
        { ...call, a: rowMajor(2 ** 31, 8) },
      ];
      for (const each of bad)
        assert.throws(() => kernels.training.gemm(each), /WINNOW_BAD_ARGUMENT|must be|inside/);
      return true;
    });
    assert.ok(results.length > 0, library.backend);
  }
});

test.run();
