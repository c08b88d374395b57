import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { sparseHead } from '../../encoder/sparse-head.ts';
import { InferencePool, type InferencePoolOptions } from '../../encoder/transformer/inference-pool.ts';
import type { ModelWeights } from '../../encoder/transformer/weights-file.ts';
import type { SparseVector } from '../../encoder/types.ts';
import { availableKernels } from '../../kernels/index.ts';
import { randomSource } from '../kernels/helpers.ts';
import { exactLogits, randomModel } from './random-model.ts';

const test = suite('sparse head');
const model = randomModel(5);

function randomSequences(count: number, seed: number): { ids: number[] }[] {
  const random = randomSource(seed);
  return Array.from({ length: count }, () => ({
    ids: Array.from({ length: 1 + Math.floor(random() * 40) }, () => Math.floor(random() * 211)),
  }));
}

async function encode(
  sequences: { ids: number[] }[],
  options: InferencePoolOptions,
): Promise<SparseVector[]> {
  const pool = InferencePool.create(sparseHead, model, options);
  try {
    return await pool.run(sequences);
  } finally {
    await pool.close();
  }
}

/** Also asserts that the special ids are off. */
function cosineWithExact(
  weights: ModelWeights,
  ids: number[],
  { termIds, weights: own }: SparseVector,
): number {
  const logits = exactLogits(weights, ids);
  const dense = new Float32Array(211);
  termIds.forEach((id, i) => {
    dense[id] = own[i]!;
  });
  let [dot, left, right] = [0, 0, 0];
  for (let term = 0; term < 211; term++) {
    const special = [0, 100, 101, 102, 103].includes(term);
    const exact = special ? 0 : Math.log1p(Math.max(0, ...logits.map((row) => row[term]!)));
    if (special) assert.is(dense[term], 0);
    dot += exact * dense[term]!;
    left += exact ** 2;
    right += dense[term]! ** 2;
  }
  return dot / Math.sqrt(left * right);
}

test('every backend is close to BERT computed in double precision', async () => {
  const sequences = randomSequences(6, 1);
  for (const backend of availableKernels()) {
    const vectors = await encode(sequences, { backend, threads: 0 });
    sequences.forEach(({ ids }, index) => {
      const cosine = cosineWithExact(model, ids, vectors[index]!);
      assert.ok(cosine > 0.998, `${backend}, sequence ${index}: cosine ${cosine}`);
    });
  }
});

test('layers pruned to 4:16 and 8:16 give the vectors of the same weights computed densely', async () => {
  const sequences = randomSequences(4, 8);
  for (const keep of [4, 8]) {
    const pruned = randomModel(5);
    for (const [name, { shape, data }] of pruned.tensors) {
      if (!/layer.*(dense|query|key|value)\.weight/.test(name) || shape.length !== 2) continue;
      for (let at = 0; at < data.length; at += 16) {
        const order = [...data.subarray(at, at + 16).keys()].sort(
          (a, b) => Math.abs(data[at + b]!) - Math.abs(data[at + a]!),
        );
        for (const index of order.slice(keep)) data[at + index] = 0;
      }
    }
    const pool = InferencePool.create(sparseHead, pruned, { threads: 0 });
    const vectors = await pool.run(sequences);
    sequences.forEach(({ ids }, i) => {
      assert.ok(cosineWithExact(pruned, ids, vectors[i]!) > 0.998);
    });
  }
});

test('vectors have ascending term ids and positive weights', async () => {
  for (const { termIds, weights } of await encode(randomSequences(5, 2), { threads: 0 })) {
    assert.is(termIds.length, weights.length);
    for (let i = 0; i < termIds.length; i++) {
      assert.ok(weights[i]! > 0);
      if (i > 0) assert.ok(termIds[i]! > termIds[i - 1]!);
    }
  }
});

test('a document has the same vector alone, in a batch, and on threads', async () => {
  const sequences = randomSequences(70, 3);
  for (const backend of availableKernels().filter((name) => name !== 'reference')) {
    const together = await encode(sequences, { backend, threads: 0, maxBatchTokens: 200 });
    const threaded = await encode(sequences, { backend, threads: 2 });
    assert.equal(threaded, together, backend);
    const alone = await encode([sequences[9]!], { backend, threads: 0 });
    assert.equal(alone[0], together[9], backend);
  }
});

test('log1p2 applies the logarithm twice, an exponent comes last', async () => {
  const sequences = randomSequences(1, 4);
  const [once] = await encode(sequences, { threads: 0 });
  for (const [activation, exponent] of [
    ['log1p2', 1],
    ['log1p', 0.9],
    ['log1p2', 0.5],
  ] as const) {
    const other = randomModel(5, { winnow: { activation, exponent, maxWeight: 3 } });
    const [vector] = await InferencePool.create(sparseHead, other, { threads: 0 }).run(sequences);
    assert.equal(vector!.termIds, once!.termIds);
    vector!.weights.forEach((weight, i) => {
      const plain = once!.weights[i]!;
      const expected = (activation === 'log1p2' ? Math.log1p(plain) : plain) ** exponent;
      assert.ok(Math.abs(weight - expected) < 1e-6, `${activation}^${exponent}: ${weight} for ${expected}`);
    });
  }
});

test.run();
