import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { asQuery } from '../../../encoder/encoder-head.ts';
import type { ModelConfig } from '../../../encoder/model.ts';
import type { PreparedExample } from '../../../encoder/training/data/examples.ts';
import { updateFactors } from '../../../encoder/training/engine/adamw.ts';
import { Engine } from '../../../encoder/training/engine/engine.ts';
import { RetrievalObjective } from '../../../encoder/training/objectives/retrieval.ts';
import type { TokenSequence } from '../../../encoder/transformer/batches.ts';
import type { Tensor } from '../../../encoder/transformer/weights-file.ts';
import { packageRoot } from '../../../package-root.ts';
import { libraries } from '../../kernels/helpers.ts';

const test = suite('training: parity with PyTorch');

/** Made by encoder/training/gpu/parity.py. */
interface Fixture {
  readonly config: ModelConfig;
  readonly vectorSize: number;
  readonly settings: Readonly<
    Record<'steps' | 'rate' | 'scale' | 'vectorScale' | 'flops' | 'revival', number>
  > & {
    readonly vectorWeight: number;
  };
  readonly seed: number;
  readonly tensors: readonly (readonly [string, readonly number[], number, number])[];
  readonly passages: readonly (readonly number[])[];
  readonly queries: readonly {
    readonly tokens: readonly number[];
    readonly weights: readonly number[];
    readonly passages: readonly number[];
    readonly target: readonly number[];
  }[];
  readonly steps: readonly Readonly<
    Record<'loss' | 'rank' | 'flops' | 'revival' | 'vector' | 'norm', number>
  >[];
  readonly gradients: Readonly<Record<string, number>>;
}

const fixture: Fixture = JSON.parse(
  readFileSync(join(packageRoot, 'test/fixtures/training/parity.json'), 'utf8'),
);

function tensorsOf({ tensors, seed }: Fixture): Map<string, Tensor> {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return new Map(
    tensors.map(([name, shape, width, center]) => {
      const count = shape.reduce((product, size) => product * size, 1);
      const data = Float32Array.from({ length: count }, () => center + width * next());
      return [name, { dtype: 'f32', shape, data }];
    }),
  );
}

const framed = (tokens: readonly number[]): number[] => [101, ...tokens, 102];

function examplesOf({ passages, queries }: Fixture) {
  const sequences: TokenSequence[] = [
    ...passages.map((tokens) => ({ ids: framed(tokens) })),
    ...queries.map(({ tokens }) => asQuery(framed(tokens))),
  ];
  const examples = queries.map((query, i): PreparedExample => {
    const sorted = query.tokens
      .map((term, at) => ({ term, weight: query.weights[at]! }))
      .sort((a, b) => a.term - b.term);
    const weights = Float32Array.from(sorted, ({ weight }) => weight);
    return {
      sequences: Int32Array.from(query.passages),
      querySequence: passages.length + i,
      query: { termIds: Uint16Array.from(sorted, ({ term }) => term), weights },
      mass: weights.reduce((sum, weight) => sum + weight, 0),
      target: Float64Array.from(query.target),
    };
  });
  return { sequences, examples };
}

/** Relative error that f32 may have against double precision after a few steps. */
const TOLERANCE = 2e-4;

function near(found: number, expected: number, what: string): void {
  const error = Math.abs(found - expected) / Math.max(1e-3, Math.abs(expected));
  assert.ok(error < TOLERANCE, `${what}: ${found}, PyTorch has ${expected}`);
}

/** @param rows of a batch at most: fewer than all make the objective run its sequences in groups */
async function checkRun(backend: (typeof libraries)[number]['backend'], rows: number): Promise<void> {
  const { settings, vectorSize } = fixture;
  const relevance = { slope: 1, offset: 0 };
  const vector = { size: vectorSize, query: 'model' as const, mix: 0.5, depth: 10, relevance };
  const config = { ...fixture.config, winnow: { ...fixture.config.winnow, vector } };
  const engine = await Engine.create(
    { config, tensors: tensorsOf(fixture) },
    {
      scope: { layers: config.num_hidden_layers, embeddings: true },
      outputs: { sparse: true, vector: true, pair: false },
      limits: { rows, sequences: 20, longest: 12 },
      threads: 0,
      exact: true,
      backend,
    },
  );
  const { sequences, examples } = examplesOf(fixture);
  const objective = new RetrievalObjective(config, (index) => sequences[index]!, {
    ...settings,
    terms: undefined,
    l0: undefined,
    sparseWeight: 1,
  });
  objective.restore({
    scale: settings.scale,
    penalty: settings.flops,
    wanted: 0,
    vectorScale: settings.vectorScale,
  });
  for (const [step, expected] of fixture.steps.entries()) {
    const what = `${backend}, step ${step}`;
    await engine.clearGradients();
    const { loss, parts } = await objective.step(engine, examples);
    if (step === 0)
      for (const [name, length] of engine.gradientNorms())
        if (!name.includes('attention.self'))
          near(length, fixture.gradients[name]!, `${what}, gradient of ${name}`);
    near(loss, expected.loss, `${what}, loss`);
    for (const part of ['rank', 'flops', 'revival', 'vector'] as const)
      near(parts[part]!, expected[part], `${what}, ${part}`);
    const norm = await engine.gradientNorm();
    near(norm, expected.norm, `${what}, length of the gradient`);
    const rate = (settings.rate * (settings.steps - step)) / settings.steps;
    await engine.update(updateFactors(step, rate, norm));
  }
  await engine.close();
}

for (const { backend } of libraries)
  test(`ten steps have PyTorch's losses and gradients (${backend})`, () => checkRun(backend, 100));

test('the same steps in groups that fit in less memory', () => checkRun(libraries.at(-1)!.backend, 12));

test.run();
