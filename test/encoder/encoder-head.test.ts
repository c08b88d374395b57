import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cosineWith, quantizeVector } from '../../encoder/dense-vector.ts';
import { asQuery, encoderHead } from '../../encoder/encoder-head.ts';
import { sparseHead } from '../../encoder/sparse-head.ts';
import { InferencePool, type InferencePoolOptions } from '../../encoder/transformer/inference-pool.ts';
import { availableKernels } from '../../kernels/index.ts';
import { randomSource } from '../kernels/helpers.ts';
import { exactStates, randomModel } from './random-model.ts';

const test = suite('two outputs of one pass');

const SIZE = 24;
const vector = {
  size: SIZE,
  query: 'model',
  mix: 0.5,
  depth: 100,
  relevance: { slope: 1, offset: 0 },
} as const;
const model = randomModel(5, { winnow: { activation: 'log1p', exponent: 1, maxWeight: 3, vector } });
const random = randomSource(17);
const values = (count: number) => Float32Array.from({ length: count }, () => random() - 0.5);
const map = { dtype: 'f32' as const, shape: [SIZE, 32], data: values(SIZE * 32) };
const bias = { dtype: 'f32' as const, shape: [SIZE], data: values(SIZE) };
const tensors = new Map([...model.tensors, ['dense.weight', map] as const, ['dense.bias', bias] as const]);

const sequences = Array.from({ length: 50 }, () =>
  Array.from({ length: 1 + Math.floor(random() * 40) }, () => Math.floor(random() * 211)),
);
/** Documents and queries in turns. */
const mixed = sequences.map((ids, i) => (i % 2 ? asQuery(ids) : { ids }));

async function encode(inputs: typeof mixed, options: InferencePoolOptions) {
  const pool = InferencePool.create(encoderHead, { ...model, tensors }, options);
  try {
    return await pool.run(inputs);
  } finally {
    await pool.close();
  }
}

/** Mean of the last states, linear map, length 1, in double precision. */
function exactVector(ids: readonly number[], types: readonly number[]): number[] {
  const states = exactStates(model, ids, types);
  const mean = states[0]!.map((_, k) => states.reduce((sum, row) => sum + row[k]!, 0) / states.length);
  const mapped = Array.from(bias.data, (offset, j) =>
    mean.reduce((sum, value, k) => sum + value * map.data[j * 32 + k]!, offset),
  );
  const length = Math.hypot(...mapped);
  return mapped.map((value) => value / length);
}

test('every backend is close to the definition in double precision, for documents and queries', async () => {
  for (const backend of availableKernels()) {
    const outputs = await encode(mixed.slice(0, 8), { backend, threads: 0 });
    outputs.forEach((output, i) => {
      const ids = sequences[i]!;
      const exact = exactVector(ids, new Array(ids.length).fill(i % 2));
      const cosine = exact.reduce((sum, value, j) => sum + value * output.vector[j]!, 0);
      assert.ok(cosine > 0.998, `${backend}, sequence ${i}: cosine ${cosine}`);
      assert.ok(Math.abs(Math.hypot(...output.vector) - 1) < 1e-5);
    });
  }
});

test('weights are those of the sparse head alone, and queries have none', async () => {
  const alone = InferencePool.create(sparseHead, model, { threads: 0 });
  const expected = await alone.run(sequences.map((ids) => ({ ids })));
  const outputs = await encode(mixed, { threads: 0 });
  outputs.forEach(({ sparse }, i) => {
    if (i % 2) assert.is(sparse.termIds.length, 0);
    else assert.equal(sparse, expected[i]);
  });
});

test('outputs are equal in every bit alone, in a batch and on threads', async () => {
  for (const backend of availableKernels().filter((name) => name !== 'reference')) {
    const together = await encode(mixed, { backend, threads: 0, maxBatchTokens: 200 });
    assert.equal(await encode(mixed, { backend, threads: 2 }), together, backend);
    for (const i of [8, 9])
      assert.equal((await encode([mixed[i]!], { backend, threads: 0 }))[0], together[i]);
  }
});

test('int8 vectors keep the cosine within a hundredth, and a vector of zeros has none', () => {
  for (let run = 0; run < 50; run++) {
    const [a, b] = [values(64), values(64)].map((v) => v.map((value) => value / Math.hypot(...v)));
    const exact = a!.reduce((sum, value, j) => sum + value * b![j]!, 0);
    assert.ok(Math.abs(cosineWith(a!, quantizeVector(b!)!) - exact) < 0.01);
  }
  assert.is(quantizeVector(new Float32Array(8)), undefined);
});

test.run();
