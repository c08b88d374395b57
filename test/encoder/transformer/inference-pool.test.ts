import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ModelConfig } from '../../../encoder/model.ts';
import { sparseHead } from '../../../encoder/sparse-head.ts';
import type { TokenSequence } from '../../../encoder/transformer/batches.ts';
import type { TransformerConfig } from '../../../encoder/transformer/config.ts';
import type { Head } from '../../../encoder/transformer/head.ts';
import { InferencePool, type InferencePoolOptions } from '../../../encoder/transformer/inference-pool.ts';
import type { SparsePattern } from '../../../encoder/transformer/sparse-storage.ts';
import type { ModelWeights, Tensor } from '../../../encoder/transformer/weights-file.ts';
import { WinnowError } from '../../../errors.ts';
import { availableKernels, loadKernels } from '../../../kernels/index.ts';
import { randomSource } from '../../kernels/helpers.ts';
import { exactStates, randomModel } from '../random-model.ts';
import { PATTERNS, sparseWeights } from '../sparse-weights.ts';
import { pairHead } from './heads/pair-head.ts';
import { DIMENSIONS, twoOutputHead } from './heads/two-output-head.ts';

const test = suite('inference pool');
const VOCABULARY = 211;
/** The reference is too slow for many sequences. */
const FAST_BACKENDS = availableKernels().filter((name) => name !== 'reference');

const encoderModel = withTensor(randomModel(5), 'vector.weight', [DIMENSIONS, 32], 11);
const pairModel = crossEncoderModel();

function withTensor<Config extends TransformerConfig>(
  model: ModelWeights<Config>,
  name: string,
  shape: readonly number[],
  seed: number,
): ModelWeights<Config> {
  const random = randomSource(seed);
  const length = shape.reduce((product, size) => product * size, 1);
  const tensor: Tensor = { dtype: 'f32', shape, data: Float32Array.from({ length }, () => random() - 0.5) };
  return { ...model, tensors: new Map([...model.tensors, [name, tensor]]) };
}

/** A body of other sizes than the encoder's, with a classifier and without a masked-language-model head. */
function crossEncoderModel(): ModelWeights<ModelConfig> {
  const body = randomModel(9, {
    hidden_size: 48,
    num_hidden_layers: 3,
    num_attention_heads: 3,
    intermediate_size: 96,
    max_position_embeddings: 64,
  });
  const tensors = new Map([...body.tensors].filter(([name]) => !name.startsWith('cls.')));
  // Large enough that a score without token types is plainly another one.
  const types = tensors.get('bert.embeddings.token_type_embeddings.weight')!;
  types.data.forEach((value, i) => {
    types.data[i] = 10 * value;
  });
  const weighted = withTensor({ ...body, tensors }, 'classifier.weight', [1, 48], 12);
  return withTensor(weighted, 'classifier.bias', [1], 13);
}

const randomIds = (random: () => number, length: number): number[] =>
  Array.from({ length }, () => Math.floor(random() * VOCABULARY));

function randomTexts(count: number, seed: number): { ids: number[] }[] {
  const random = randomSource(seed);
  return Array.from({ length: count }, () => ({ ids: randomIds(random, 1 + Math.floor(random() * 40)) }));
}

/** [CLS] query [SEP] passage [SEP], types 0 and 1. */
function randomPairs(count: number, seed: number): { ids: number[]; typeIds: number[] }[] {
  const random = randomSource(seed);
  return Array.from({ length: count }, () => {
    const query = randomIds(random, 1 + Math.floor(random() * 8));
    const passage = randomIds(random, 1 + Math.floor(random() * 50));
    const ids = [101, ...query, 102, ...passage, 102];
    return { ids, typeIds: ids.map((_, t) => (t < query.length + 2 ? 0 : 1)) };
  });
}

async function runWith<Result, Config extends TransformerConfig>(
  head: Head<Result, Config>,
  model: ModelWeights<Config>,
  sequences: readonly TokenSequence[],
  options: InferencePoolOptions,
): Promise<Result[]> {
  const pool = InferencePool.create(head, model, options);
  try {
    return await pool.run(sequences);
  } finally {
    await pool.close();
  }
}

/** Results of a head in batches on threads, on the calling thread, in batches of another size and one by one. */
async function sameEverywhere<Result, Config extends TransformerConfig>(
  head: Head<Result, Config>,
  model: ModelWeights<Config>,
  sequences: readonly TokenSequence[],
): Promise<void> {
  for (const backend of FAST_BACKENDS) {
    const threaded = await runWith(head, model, sequences, { backend, threads: 3 });
    assert.is(threaded.length, sequences.length);
    assert.equal(await runWith(head, model, sequences, { backend, threads: 1 }), threaded, backend);
    const narrow = { backend, threads: 0, maxBatchTokens: 70 };
    assert.equal(await runWith(head, model, sequences, narrow), threaded, backend);
    const pool = InferencePool.create(head, model, { backend, threads: 0 });
    for (const [index, sequence] of sequences.entries())
      assert.equal(await pool.run([sequence]), [threaded[index]], `${backend}, sequence ${index}`);
  }
}

test('two heads share one pass: each gives what it gives alone, with equal bits on every thread', async () => {
  const texts = randomTexts(40, 3);
  await sameEverywhere(twoOutputHead, encoderModel, texts);
  const both = await runWith(twoOutputHead, encoderModel, texts, { threads: 2 });
  const sparse = await runWith(sparseHead, encoderModel, texts, { threads: 0 });
  assert.equal(
    both.map((outputs) => outputs.sparse),
    sparse,
  );
  for (const [index, { vector }] of both.slice(0, 5).entries()) {
    assert.instance(vector, Float32Array);
    const exact = exactVector(texts[index]!.ids);
    const cosine = exact.reduce((sum, value, d) => sum + value * vector[d]!, 0) / Math.hypot(...exact);
    assert.ok(cosine > 0.995, `sequence ${index}: cosine ${cosine}`);
  }
});

function exactVector(ids: number[]): number[] {
  const rows = exactStates(encoderModel, ids);
  const weights = encoderModel.tensors.get('vector.weight')!.data;
  const mean = rows[0]!.map((_, k) => rows.reduce((sum, row) => sum + row[k]!, 0) / rows.length);
  return Array.from({ length: DIMENSIONS }, (_, d) =>
    mean.reduce((sum, value, k) => sum + value * weights[d * mean.length + k]!, 0),
  );
}

test('a head that scores pairs runs on a body of other sizes, with equal bits on every thread', async () => {
  await sameEverywhere(pairHead, pairModel, randomPairs(30, 4));
});

/** The same shapes with int8 products whose zeros follow a pattern. */
function withPattern(model: ModelWeights<ModelConfig>, pattern: SparsePattern): ModelWeights<ModelConfig> {
  const random = randomSource(14);
  const tensors = [...model.tensors].map(([name, tensor]): [string, Tensor] => {
    if (!/layer\.\d+\..*(query|key|value|dense)\.weight$/.test(name)) return [name, tensor];
    const [outputs, inputs] = tensor.shape as [number, number];
    const data = sparseWeights(outputs, inputs, pattern, random);
    const scales = Float32Array.from({ length: outputs }, () => (0.5 + random()) / 127 / Math.sqrt(inputs));
    return [name, { dtype: 'i8', shape: [outputs, inputs], data, scales, pattern }];
  });
  return { ...model, tensors: new Map(tensors) };
}

test('a head that reads first rows gets them with the bits that it has among all rows, for every format', async () => {
  const pairs = randomPairs(20, 6);
  const models = [pairModel, ...PATTERNS.map((pattern) => withPattern(pairModel, pattern))];
  for (const backend of availableKernels()) {
    // On AMX, attention of whole sequences multiplies bf16 tiles, and that of single rows f32 vectors.
    const tolerance = loadKernels(backend).instructions === 'amx' ? 1e-3 : 0;
    for (const model of models) {
      const of = (lastRows: 'all' | 'first') =>
        runWith({ ...pairHead, lastRows }, model, pairs, { backend, threads: 0 });
      const [all, first] = [await of('all'), await of('first')];
      assert.is(new Set(all).size, pairs.length);
      all.forEach((score, i) => {
        assert.ok(Math.abs(score - first[i]!) <= tolerance, `${backend}: ${first[i]} is not ${score}`);
      });
    }
  }
});

test('token types reach the embeddings: pairs score as in double precision', async () => {
  const pairs = randomPairs(6, 5);
  const weights = pairModel.tensors.get('classifier.weight')!.data;
  const exact = ({ ids, typeIds }: { ids: number[]; typeIds: number[] }) =>
    exactStates(pairModel, ids, typeIds)[0]!.reduce(
      (sum, value, k) => sum + value * weights[k]!,
      pairModel.tensors.get('classifier.bias')!.data[0]!,
    );
  const untyped = pairs.map(({ ids }) => ({ ids }));
  for (const backend of availableKernels()) {
    const largestError = async (sequences: readonly TokenSequence[]) => {
      const scores = await runWith(pairHead, pairModel, sequences, { backend, threads: 0 });
      return Math.max(...scores.map((score, i) => Math.abs(score - exact(pairs[i]!))));
    };
    const error = await largestError(pairs);
    assert.ok(error < 0.25, `${backend}: ${error}`);
    assert.ok((await largestError(untyped)) > 4 * error, backend);
  }
});

test('a batch may mix sequences with and without token types', async () => {
  const pairs = randomPairs(6, 5);
  const zeros = pairs.map(({ ids }) => ({ ids, typeIds: ids.map(() => 0) }));
  const mixed = zeros.map(({ ids, typeIds }, i) => (i % 2 ? { ids, typeIds } : { ids }));
  assert.equal(
    await runWith(pairHead, pairModel, mixed, { threads: 1 }),
    await runWith(pairHead, pairModel, zeros, { threads: 0 }),
  );
});

test('two pools of different models run side by side', async () => {
  const texts = randomTexts(30, 6);
  const pairs = randomPairs(30, 7);
  const [together, scores] = await Promise.all([
    runWith(sparseHead, encoderModel, texts, { threads: 2 }),
    runWith(pairHead, pairModel, pairs, { threads: 2 }),
  ]);
  assert.equal(together, await runWith(sparseHead, encoderModel, texts, { threads: 0 }));
  assert.equal(scores, await runWith(pairHead, pairModel, pairs, { threads: 0 }));
});

test('the weights of a head are read by this head alone', () => {
  assert.throws(() => InferencePool.create(sparseHead, pairModel, { threads: 0 }), /cls\.predictions/);
  assert.throws(() => InferencePool.create(pairHead, encoderModel, { threads: 0 }), /classifier/);
});

async function refused(promise: Promise<unknown>, code: string): Promise<void> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof WinnowError, String(error));
    return assert.is(error.code, code);
  }
  assert.unreachable('was accepted');
}

test('bad sequences and options are refused with a code; the pool goes on', async () => {
  const pool = InferencePool.create(sparseHead, encoderModel, { threads: 1 });
  for (const sequence of [
    { ids: [] },
    { ids: new Array(41).fill(1) },
    { ids: [1, VOCABULARY] },
    { ids: [-1] },
    { ids: [1, 2], typeIds: [0] },
    { ids: [1, 2], typeIds: [0, 1, 1] },
    { ids: [1, 2], typeIds: [0, 2] },
  ])
    await refused(pool.run([sequence]), 'WINNOW_BAD_ARGUMENT');
  assert.is((await pool.run([{ ids: [1, 2], typeIds: [0, 1] }])).length, 1);
  assert.equal(await pool.run([]), []);
  await pool.close();
  await refused(pool.run([{ ids: [1, 2] }]), 'WINNOW_KERNEL_UNAVAILABLE');
  const create = (options: InferencePoolOptions) => () =>
    InferencePool.create(sparseHead, encoderModel, options);
  assert.throws(create({ threads: -1 }), /threads/);
  assert.throws(create({ maxBatchTokens: 10 }), /maxBatchTokens/);
});

test('a model with a missing or misshapen tensor is refused by name', () => {
  const tensors = new Map(encoderModel.tensors);
  const create = () => InferencePool.create(sparseHead, { ...encoderModel, tensors }, { threads: 0 });
  tensors.delete('bert.encoder.layer.1.output.dense.bias');
  assert.throws(create, /layer\.1\.output\.dense\.bias/);
  tensors.set('bert.encoder.layer.1.output.dense.bias', {
    dtype: 'f32',
    shape: [3],
    data: new Float32Array(3),
  });
  assert.throws(create, /shape 3/);
});

test('an aborted run rejects with the reason of its signal, drops its batches and leaves others alone', async () => {
  const texts = randomTexts(400, 8);
  for (const threads of [0, 1]) {
    const pool = InferencePool.create(sparseHead, encoderModel, { threads });
    const aborting = new AbortController();
    const reason = new Error('the reader left');
    const aborted = pool.run(texts, { signal: aborting.signal }).then(
      () => 'finished',
      (error: unknown) => error,
    );
    setImmediate(() => aborting.abort(reason));
    assert.is(await aborted, reason, `${threads} threads`);
    const after = await pool.run(texts.slice(0, 3), { signal: new AbortController().signal });
    assert.equal(after, await pool.run(texts.slice(0, 3)));
    try {
      await pool.run(texts, { signal: aborting.signal });
      assert.unreachable('was accepted');
    } catch (error) {
      assert.is(error, reason);
    }
    await pool.close();
  }
});

test.run();
