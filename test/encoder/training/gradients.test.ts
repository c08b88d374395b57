import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ModelConfig } from '../../../encoder/model.ts';
import type { BodyScope } from '../../../encoder/training/engine/body-parameters.ts';
import { type BatchSequence, Engine } from '../../../encoder/training/engine/engine.ts';
import type { Parameter } from '../../../encoder/training/engine/parameters.ts';
import type { Outputs } from '../../../encoder/training/engine/plan.ts';
import type { ModelWeights, Tensor } from '../../../encoder/transformer/weights-file.ts';
import { libraries, randomSource } from '../../kernels/helpers.ts';
import { exactLogits, exactStates, randomModel } from '../random-model.ts';

const test = suite('training: gradients');

const SIZE = 5;
const SEQUENCES: readonly BatchSequence[] = [
  { ids: [3, 7, 30, 7, 11, 5, 90] },
  { ids: [3, 150, 5] },
  { ids: [3, 60, 61, 62, 63, 5], typeIds: [1, 1, 1, 1, 1, 1] },
];

/** A model with all three heads, whose numbers are f32. */
function modelOf(seed: number): ModelWeights<ModelConfig> {
  const relevance = { slope: 1, offset: 0 };
  const vector = { size: SIZE, query: 'model' as const, mix: 0.5, depth: 10, relevance };
  const { config, tensors } = randomModel(seed, {
    winnow: { activation: 'log1p', exponent: 1, maxWeight: 3, vector },
  });
  const random = randomSource(seed + 1);
  const added = new Map(tensors);
  const H = config.hidden_size;
  const add = (name: string, shape: number[]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const data = Float32Array.from({ length: count }, () => random() - 0.5);
    added.set(name, { dtype: 'f32', shape, data });
  };
  for (const [name, rows] of [
    ['dense', SIZE],
    ['bert.pooler.dense', H],
    ['classifier', 1],
  ] as const) {
    add(`${name}.weight`, [rows, H]);
    add(`${name}.bias`, [rows]);
  }
  return { config, tensors: added };
}

/** Random factors of every number that comes out; the loss is their sum, so they are its gradient by the outputs. */
function factorsOf(seed: number, vocabulary: number) {
  const random = randomSource(seed);
  const some = (count: number) => Array.from({ length: count }, () => random() - 0.5);
  return SEQUENCES.map(() => ({ terms: some(vocabulary), vector: some(SIZE), logit: random() - 0.5 }));
}

/** The loss in double precision, straight from the definitions. */
function exactLoss(model: ModelWeights, factors: ReturnType<typeof factorsOf>, outputs: Outputs): number {
  const get = (name: string) => model.tensors.get(name)!.data;
  const map = (name: string, row: readonly number[]) =>
    Array.from(get(`${name}.bias`), (bias, n) =>
      row.reduce((sum, value, k) => sum + value * get(`${name}.weight`)[n * row.length + k]!, bias),
    );
  let loss = 0;
  SEQUENCES.forEach(({ ids, typeIds }, i) => {
    const tokens = Array.from(ids);
    const own = factors[i]!;
    const states = exactStates(model, tokens, typeIds ? Array.from(typeIds) : undefined);
    if (outputs.sparse && !typeIds) {
      const logits = exactLogits(model, tokens);
      own.terms.forEach((factor, term) => {
        loss += factor * Math.max(...logits.map((row) => row[term]!));
      });
    }
    if (outputs.vector) {
      const mean = states[0]!.map((_, k) => states.reduce((sum, row) => sum + row[k]!, 0) / states.length);
      map('dense', mean).forEach((value, k) => {
        loss += own.vector[k]! * value;
      });
    }
    if (outputs.pair)
      loss += own.logit * map('classifier', map('bert.pooler.dense', states[0]!).map(Math.tanh))[0]!;
  });
  return loss;
}

/** The slope of the loss by one number of a tensor: central differences. */
function slope(model: ModelWeights, name: string, at: number, loss: (model: ModelWeights) => number): number {
  const step = 1e-5;
  const moved = (by: number) => {
    const data = Float64Array.from(model.tensors.get(name)!.data);
    data[at]! += by;
    const tensor = { ...model.tensors.get(name)!, data } as unknown as Tensor;
    return loss({ ...model, tensors: new Map([...model.tensors, [name, tensor]]) });
  };
  return (moved(step) - moved(-step)) / (2 * step);
}

async function backward(engine: Engine, factors: ReturnType<typeof factorsOf>, outputs: Outputs) {
  await engine.clearGradients();
  await engine.forward(SEQUENCES, outputs.sparse ? 2 : 0);
  const terms = factors.map(({ terms: own }, i) => {
    if (!outputs.sparse || i > 1) return { terms: [], rows: [], gradients: [] };
    return {
      terms: own.map((_, term) => term),
      rows: own.map((_, term) => engine.maximumOf(i, term).row),
      gradients: own,
    };
  });
  await engine.backward({
    terms,
    vectors: factors.map(({ vector }) => vector),
    logits: factors.map(({ logit }) => logit),
  });
}

/** Numbers of a parameter to compare: their place in the tensor and in the gradient. */
function samplesOf({ rows, columns, tensors, trained, decays }: Parameter, random: () => number) {
  const { firstRow, firstColumn, rows: R, columns: C } = trained!;
  return Array.from({ length: 3 }, () => {
    const [row, column] = [Math.floor(random() * R), Math.floor(random() * C)];
    const place = (firstRow + row) * columns + firstColumn + column;
    const length = (rows * columns) / tensors.length;
    return {
      name: tensors[Math.floor(place / length)]!,
      at: place % length,
      inGradient: row * C + column,
      decays,
    };
  });
}

const SCOPES: Readonly<Record<string, { scope: BodyScope; outputs: Outputs }>> = {
  'the sparse head and the whole body': {
    scope: { layers: 2, embeddings: true },
    outputs: { sparse: true, vector: false, pair: false },
  },
  'both outputs of an encoder': {
    scope: { layers: 2, embeddings: true },
    outputs: { sparse: true, vector: true, pair: false },
  },
  'the pair head with its pooler': {
    scope: { layers: 2, embeddings: true },
    outputs: { sparse: false, vector: false, pair: true },
  },
  'slices of channels and heads': {
    scope: { layers: 2, embeddings: true, slice: { channels: 20, heads: 1 } },
    outputs: { sparse: true, vector: true, pair: false },
  },
};

for (const [name, { scope, outputs }] of Object.entries(SCOPES)) {
  test(`${name}: every gradient is the slope of the loss, on every backend`, async () => {
    const model = modelOf(11);
    const factors = factorsOf(12, model.config.vocab_size);
    const limits = { rows: 20, sequences: 3, longest: 8 };
    const loss = (changed: ModelWeights) => exactLoss(changed, factors, outputs);
    const slopes = new Map<string, number>();
    for (const { backend } of libraries) {
      const engine = await Engine.create(model, {
        scope,
        outputs,
        limits,
        threads: 0,
        exact: true,
        backend,
      });
      await backward(engine, factors, outputs);
      const random = randomSource(13);
      let checked = 0;
      for (const parameter of engine.plan.parameters.filter(({ trained }) => trained)) {
        for (const sample of samplesOf(parameter, random)) {
          const key = `${sample.name}[${sample.at}]`;
          const expected =
            slopes.get(key) ?? slopes.set(key, slope(model, sample.name, sample.at, loss)).get(key)!;
          const found = engine.arena.f32[parameter.trained!.gradient / 4 + sample.inGradient]!;
          const error = Math.abs(found - expected) / Math.max(0.05, Math.abs(expected));
          assert.ok(error < 2e-3, `${backend}, ${key}: ${found} instead of ${expected}`);
          checked++;
        }
      }
      assert.ok(checked > 60, `${checked} numbers`);
      await engine.close();
    }
  });
}

test('threads change nothing: weights and moments are equal in every bit', async () => {
  const model = modelOf(21);
  const factors = factorsOf(22, model.config.vocab_size);
  const { scope, outputs } = SCOPES['both outputs of an encoder']!;
  const stateAfter = async (threads: number) => {
    const engine = await Engine.create(model, {
      scope,
      outputs,
      limits: { rows: 20, sequences: 3, longest: 8 },
      threads,
    });
    for (let step = 0; step < 2; step++) {
      await backward(engine, factors, outputs);
      const norm = await engine.gradientNorm();
      await engine.update({
        clip: 1 / norm,
        rate: 0.01,
        decay: 1e-4,
        beta1: 0.9,
        beta2: 0.98,
        rootCorrection: 1,
        epsilon: 1e-7,
      });
    }
    const state = engine.state();
    await engine.close();
    return state;
  };
  const one = await stateAfter(0);
  assert.ok(one.first.some((value) => value !== 0));
  for (const threads of [1, 3]) assert.equal(await stateAfter(threads), one, `${threads} threads`);
});

test.run();
