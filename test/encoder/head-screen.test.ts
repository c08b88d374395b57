import { cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { calibrateScreen } from '../../encoder/calibrate-screen.ts';
import { SCREEN, SCREEN_FILE, screenOf } from '../../encoder/head-screen.ts';
import type { ModelConfig } from '../../encoder/model.ts';
import { openModel } from '../../encoder/model.ts';
import { sparseHead } from '../../encoder/sparse-head.ts';
import { InferencePool, type InferencePoolOptions } from '../../encoder/transformer/inference-pool.ts';
import {
  decodeWeights,
  encodeWeights,
  type ModelWeights,
  type Tensor,
} from '../../encoder/transformer/weights-file.ts';
import type { SparseVector } from '../../encoder/types.ts';
import { availableKernels } from '../../kernels/index.ts';
import { packageRoot } from '../../package-root.ts';
import { thrownBy } from '../helpers/thrown.ts';
import { randomSource } from '../kernels/helpers.ts';
import { randomModel } from './random-model.ts';

const test = suite('screened head');

const model = randomModel(5);
const random = randomSource(11);
const sequences = Array.from({ length: 40 }, () => ({
  ids: Array.from({ length: 2 + Math.floor(random() * 30) }, () => Math.floor(random() * 211)),
}));
const screen = await calibrateScreen(model, sequences, { size: 24, misses: 0.01 });

async function encode(
  tensors: Iterable<readonly [string, Tensor]>,
  options: InferencePoolOptions = { threads: 0 },
): Promise<SparseVector[]> {
  const weights: ModelWeights<ModelConfig> = { ...model, tensors: new Map([...model.tensors, ...tensors]) };
  const pool = InferencePool.create(sparseHead, weights, options);
  try {
    return await pool.run(sequences);
  } finally {
    await pool.close();
  }
}

/** The screen with another margin by term. */
function withMargin(added: number): Map<string, Tensor> {
  const bias = screen.tensors.get(SCREEN.terms[1])!.data as Float32Array;
  const data = bias.map((value) => value + added);
  return new Map([...screen.tensors, [SCREEN.terms[1], { dtype: 'f32', shape: [data.length], data }]]);
}

test('terms that the screen keeps have the weights of the whole product, bit by bit', async () => {
  const whole = await encode([]);
  const screened = await encode(screen.tensors);
  let kept = 0;
  screened.forEach(({ termIds, weights }, i) => {
    const expected = new Map([...whole[i]!.termIds].map((term, j) => [term, whole[i]!.weights[j]!]));
    termIds.forEach((term, j) => {
      assert.is(weights[j], expected.get(term));
    });
    kept += termIds.length;
  });
  assert.ok(kept > 0.95 * whole.reduce((sum, { termIds }) => sum + termIds.length, 0));
});

test('a margin without end keeps every term, one below every logit keeps none', async () => {
  assert.equal(await encode(withMargin(1e6)), await encode([]));
  assert.ok((await encode(withMargin(-1e6))).every(({ termIds }) => termIds.length === 0));
});

test('on every backend a document has the same vector in any batch and on threads', async () => {
  for (const backend of availableKernels()) {
    const expected = await encode(screen.tensors, { backend, threads: 0 });
    const others = [
      { backend, threads: 0, maxBatchTokens: 64 },
      { backend, threads: 2 },
    ];
    for (const options of others) assert.equal(await encode(screen.tensors, options), expected, backend);
  }
});

test('what calibration says of the misses is what encoding does', async () => {
  const whole = await encode([]);
  const screened = await encode(screen.tensors);
  const heldOut = (_: unknown, i: number) => i % 2 === 1;
  const terms = (vectors: readonly SparseVector[]) =>
    vectors.filter(heldOut).reduce((sum, { termIds }) => sum + termIds.length, 0);
  const misses = 1 - terms(screened) / terms(whole);
  assert.ok(Math.abs(misses - screen.misses) < 1e-9, `${misses} for ${screen.misses}`);
  assert.ok(screen.misses <= 0.03 && screen.candidates < 1);
});

test('calibration refuses too few texts and sizes that the model does not have', async () => {
  for (const [texts, options] of [
    [sequences.slice(0, 7), {}],
    [sequences, { size: 33 }],
    [sequences, { size: 24, misses: 0 }],
  ] as const) {
    assert.is((await thrownBy(() => calibrateScreen(model, texts, options))).code, 'WINNOW_BAD_ARGUMENT');
  }
});

test('the bundled model has a screen of its own weights; one of others is refused with the way out', async () => {
  const bundled = openModel();
  assert.ok(bundled.readWeights().tensors.has(SCREEN.states[0]));
  const folder = join(mkdtempSync(join(tmpdir(), 'winnow-screen-')), 'copy');
  cpSync(join(packageRoot, 'models', 'winnow-mini'), folder, { recursive: true });
  const path = join(folder, SCREEN_FILE);
  const own = decodeWeights(Buffer.from(encodeWeights(screen.tensors)), path);
  writeFileSync(path, encodeWeights(new Map([...own, screenOf('0'.repeat(64))])));
  const error = await thrownBy(() => openModel(folder).readWeights());
  assert.is(error.code, 'WINNOW_MODEL_INVALID');
  assert.match(error.hint ?? '', /winnow model screen/);
  assert.is(openModel(folder).hash, bundled.hash);
});

test.run();
