import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeSparse, detectPattern, encodeSparse } from '../../../encoder/transformer/sparse-storage.ts';
import { quantizeWeightRows } from '../../../encoder/transformer/tensor-source.ts';
import { decodeWeights, encodeWeights, type Tensor } from '../../../encoder/transformer/weights-file.ts';
import {
  decodeHeader,
  encodeHeader,
  type WeightsHeader,
} from '../../../encoder/transformer/weights-header.ts';
import type { WinnowError } from '../../../errors.ts';
import { check } from '../../helpers/property.ts';
import { randomSource } from '../../kernels/helpers.ts';
import { PATTERNS, sparseWeights } from '../sparse-weights.ts';

const test = suite('weights file');
const invalid = (e: WinnowError) => e.code === 'WINNOW_MODEL_INVALID' && e.place === 'test';

/** A dense matrix, one of each pattern, and a vector; large enough that some are deflated. */
function tensors(): Map<string, Tensor> {
  const values = Float32Array.from({ length: 40 * 64 }, (_, i) => Math.sin(i));
  const sparse = PATTERNS.map((pattern, seed): [string, Tensor] => {
    const data = sparseWeights(40, 52, pattern, randomSource(seed));
    const scales = Float32Array.from({ length: 40 }, (_, i) => 0.01 * i);
    return [pattern, { dtype: 'i8', shape: [40, 52], data, scales, pattern }];
  });
  return new Map<string, Tensor>([
    ['matrix', { dtype: 'i8', shape: [40, 64], ...quantizeWeightRows(values, 40, 64) }],
    ['bias', { dtype: 'f32', shape: [3], data: Float32Array.of(1, -2, 0.5) }],
    ['zeros', { dtype: 'i8', shape: [9, 200], data: new Int8Array(1800), scales: new Float32Array(9) }],
    ...sparse,
  ]);
}

test('weights come back as they were written, in every pattern, deflated or not', () => {
  const file = encodeWeights(tensors());
  assert.equal([...decodeWeights(file, 'test')], [...tensors()]);
  const { header } = decodeHeader(file, 'test');
  const stored = Object.values(header.tensors);
  assert.ok(stored.some(({ deflated }) => deflated !== undefined));
  assert.ok(stored.some(({ deflated }) => deflated === undefined));
});

test('version 1, which has neither patterns nor deflated tensors, opens unchanged', () => {
  const random = randomSource(3);
  // Every byte is as frequent as any other, so that nothing can be deflated.
  const data = Int8Array.from({ length: 64 * 32 }, () => Math.floor(255 * random()) - 127);
  const plain = new Map<string, Tensor>([
    ['matrix', { dtype: 'i8', shape: [64, 32], data, scales: new Float32Array(64).fill(0.1) }],
    ['bias', { dtype: 'f32', shape: [3], data: Float32Array.of(1, -2, 0.5) }],
  ]);
  const file = encodeWeights(plain);
  assert.ok(Object.values(decodeHeader(file, 'test').header.tensors).every(({ deflated }) => !deflated));
  file.writeUInt32LE(1, 8);
  assert.equal([...decodeWeights(file, 'test')], [...plain]);
  for (const version of [0, 3, 2 ** 32 - 1]) {
    file.writeUInt32LE(version, 8);
    assert.throws(() => decodeWeights(file, 'test'), invalid);
  }
});

test('a stored pattern gives back the weights of any shape, at the size that is documented', async () => {
  const shape = fc.record({
    outputs: fc.integer({ min: 1, max: 20 }),
    inputs: fc.integer({ min: 1, max: 150 }),
    pattern: fc.constantFrom(...PATTERNS),
    seed: fc.nat(),
  });
  await check(
    fc.property(shape, ({ outputs, inputs, pattern, seed }) => {
      const data = sparseWeights(outputs, inputs, pattern, randomSource(seed));
      const bytes = encodeSparse(data, inputs, pattern);
      assert.equal(decodeSparse(bytes, outputs, inputs, pattern), data);
      if (pattern === '4:16') assert.ok(bytes.length <= outputs * Math.ceil(inputs / 16) * 6);
      if (pattern === '8:16') assert.ok(bytes.length <= outputs * Math.ceil(inputs / 16) * 10);
    }),
  );
});

test('bytes that are no matrix of the pattern are refused, whatever they are', async () => {
  const bytes = fc.array(fc.integer({ min: -128, max: 127 }), { maxLength: 60 });
  const sizes = fc.integer({ min: 1, max: 40 });
  await check(
    fc.property(bytes, sizes, sizes, fc.constantFrom(...PATTERNS), (values, outputs, inputs, pattern) => {
      const data = decodeSparse(Int8Array.from(values), outputs, inputs, pattern);
      if (data === undefined) return;
      // What is accepted follows the pattern: it can be written again and is the same matrix.
      assert.is(data.length, outputs * inputs);
      assert.equal(decodeSparse(encodeSparse(data, inputs, pattern), outputs, inputs, pattern), data);
    }),
    { numRuns: 500 },
  );
  const full = Int8Array.of(-1, -1, ...new Array(16).fill(1));
  for (const pattern of ['4:16', '8:16'] as const)
    assert.is(decodeSparse(full, 1, 16, pattern), undefined, 'more inputs than the pattern allows');
  assert.is(decodeSparse(Int8Array.of(16, 1, 2, 3, 4), 1, 16, '4x1'), undefined, 'a block behind the row');
  assert.is(decodeSparse(Int8Array.of(1, 1, 2, 3), 1, 16, '4x1'), undefined, 'a weight too few');
});

test('conversion recognises each pattern; unstructured and few zeros stay dense', () => {
  const random = randomSource(7);
  for (const pattern of PATTERNS)
    assert.is(detectPattern(sparseWeights(64, 96, pattern, random), 96), pattern);
  const some = Int8Array.from({ length: 64 * 96 }, () => (random() < 0.75 ? 0 : 5));
  assert.is(detectPattern(some, 96), undefined, 'three quarters of zeros without structure');
  const blocks = Int8Array.from({ length: 64 * 96 }, (_, i) => ((i >> 2) % 10 < 6 ? 5 : 0));
  assert.is(detectPattern(blocks, 96), undefined, '60 % of the blocks');
  assert.is(detectPattern(new Int8Array(64 * 96), 96), '4x1', 'nothing is kept');
});

test('a flipped bit or a cut in a weights file is refused', async () => {
  const file = encodeWeights(tensors());
  await check(
    fc.property(fc.nat(file.length * 8 - 1), (bit) => {
      const damaged = Buffer.from(file);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      let read: Map<string, Tensor> | undefined;
      try {
        read = decodeWeights(damaged, 'test');
      } catch (error) {
        assert.ok(invalid(error as WinnowError), String(error));
      }
      // Only the padding between header and data carries no meaning.
      if (read) assert.equal([...read], [...tensors()]);
    }),
    { numRuns: 300 },
  );
  for (const length of [0, 7, 16, 40, file.length - 1])
    assert.throws(() => decodeWeights(file.subarray(0, length), 'test'), invalid);
});

/** The file with another header and other data, its checksums right: what a faulty or hostile writer makes. */
function forged(file: Buffer, change: (header: WeightsHeader, data: Buffer) => unknown): Buffer {
  const { header, dataStart } = decodeHeader(file, 'test');
  const copy = structuredClone(header);
  const data = Buffer.from(file.subarray(dataStart));
  const changed = change(copy, data) ?? copy;
  const sha256 = createHash('sha256').update(data).digest('hex');
  const whole = changed === copy ? { ...copy, sha256 } : changed;
  return Buffer.concat([encodeHeader(whole as WeightsHeader), data]);
}

test('a wrong header or wrong data with right checksums is refused or read, never followed', async () => {
  const file = encodeWeights(tensors());
  const names = [...tensors().keys()];
  const fields = ['dtype', 'shape', 'offset', 'scales', 'pattern', 'bytes', 'deflated'];
  const value = fc.oneof(
    fc.constantFrom(undefined, null, -1, 0.5, 4, 1e9, 2 ** 53, 2 ** 31, 'i8', 'f32', [], {}, ...PATTERNS),
    fc.array(fc.constantFrom(0, 1, 3, 52, 1e6, 2 ** 40, -1, '4'), { maxLength: 3 }),
    fc.nat(file.length),
  );
  await check(
    fc.property(
      fc.constantFrom(...names),
      fc.constantFrom(...fields),
      value,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
      (name, field, other, flips) => {
        const wrong = forged(file, (header, data) => {
          Object.assign(header.tensors[name]!, { [field]: other });
          for (const [at, byte] of flips) data[at % data.length] = byte;
        });
        try {
          for (const { data, shape } of decodeWeights(wrong, 'test').values())
            assert.is(
              data.length,
              (shape as number[]).reduce((product, n) => product * n, 1),
            );
        } catch (error) {
          assert.ok(invalid(error as WinnowError), String((error as Error).stack));
        }
      },
    ),
    { numRuns: 1000 },
  );
  for (const header of [null, [], {}, { tensors: null }, { tensors: { a: null } }, { tensors: { a: {} } }])
    for (const facts of [{}, { sha256: '', dataBytes: 0 }]) {
      const whole = header && !Array.isArray(header) ? { ...facts, ...header } : header;
      assert.throws(
        () =>
          decodeWeights(
            forged(file, () => whole ?? 0),
            'test',
          ),
        invalid,
      );
    }
});

test.run();
