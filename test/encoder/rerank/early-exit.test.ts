import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type CrossEncoder, createCrossEncoder } from '../../../encoder/rerank/cross-encoder.ts';
import { EARLY_EXIT_FILE, encodeEarlyExit } from '../../../encoder/rerank/early-exit.ts';
import { type EarlyClassifier, fitEarlyClassifier } from '../../../encoder/rerank/fit-early-exit.ts';
import { openCrossEncoderModel, withoutEarlyExit } from '../../../encoder/rerank/model.ts';
import { availableKernels } from '../../../kernels/index.ts';
import { crossEncoderFolder } from '../../helpers/cross-encoder-folder.ts';
import { check } from '../../helpers/property.ts';
import { messageOf } from '../../helpers/thrown.ts';
import { randomSource } from '../../kernels/helpers.ts';

const test = suite('early exit');

const WORDS = ['sky', 'engine', 'bread', 'volcano', 'river', 'metal', 'seven', 'unhappiness'];

const passages = fc
  .array(fc.array(fc.constantFrom(...WORDS), { maxLength: 80 }), { minLength: 1, maxLength: 24 })
  .map((texts) => texts.map((words, i) => ({ key: `${i} ${words}`, title: '', text: words.join(' ') })));

function classifierOf(hidden: number, seed: number): EarlyClassifier {
  const random = randomSource(seed);
  return { weights: Float32Array.from({ length: hidden }, () => random() - 0.5), bias: random() };
}

/** A random cross-encoder of two layers whose folder has an exit after the first one. */
function folderWithExit(seed: number, pooler: boolean, keep = 0.5): string {
  const folder = crossEncoderFolder(seed, {}, { pooler });
  const model = openCrossEncoderModel(folder);
  const classifier = classifierOf(model.config.hidden_size, seed);
  writeFileSync(
    join(folder, EARLY_EXIT_FILE),
    encodeEarlyExit(model.weightsHash, { layers: 1, keep }, classifier),
  );
  return folder;
}

test('in two steps, for any part of the passages in any order, logits are those of one, in every bit', async () => {
  for (const pooler of [false, true])
    for (const backend of availableKernels().filter((one) => one !== 'reference')) {
      const model = openCrossEncoderModel(folderWithExit(3, pooler));
      const encoders = [0, 2].map((threads) => createCrossEncoder(model, { backend, threads }));
      const { weights, bias } = classifierOf(model.config.hidden_size, 3);
      await check(
        fc.asyncProperty(passages, fc.infiniteStream(fc.nat()), async (texts, draws) => {
          const order = texts
            .map((_, i) => ({ i, by: draws.next().value }))
            .sort((a, b) => a.by - b.by)
            .slice(0, 1 + (draws.next().value % texts.length))
            .map(({ i }) => i);
          const expected = await encoders[0]!.score('blue sky', texts);
          for (const { early } of encoders as CrossEncoder[]) {
            const paused = await early!.estimate('blue sky', texts);
            const finished = await early!.finish(order.map((i) => paused[i]!));
            assert.equal(
              [...finished],
              order.map((i) => expected[i]!),
            );
            for (const { estimate, rows } of paused) {
              const exact = weights.reduce((sum, weight, k) => sum + weight * rows[k]!, bias);
              assert.ok(Math.abs(estimate - exact) < 1e-4 * (1 + Math.abs(exact)), `${estimate} ${exact}`);
            }
          }
        }),
        { numRuns: 5 },
      );
      for (const encoder of encoders) await encoder.close();
    }
});

test('an aborted step throws the reason, and the encoder goes on', async () => {
  const encoder = createCrossEncoder(openCrossEncoderModel(folderWithExit(4, false)), { threads: 1 });
  const texts = WORDS.map((word) => ({ key: word, title: '', text: `${word} `.repeat(200) }));
  const paused = await encoder.early!.estimate('sky', texts);
  const reason = new Error('nobody waits');
  for (const step of ['estimate', 'finish'] as const) {
    const gone = new AbortController();
    const { signal } = gone;
    const running =
      step === 'estimate'
        ? encoder.early!.estimate('sky', texts, { signal })
        : encoder.early!.finish(paused, { signal });
    gone.abort(reason);
    try {
      await running;
      assert.unreachable();
    } catch (error) {
      assert.is(error, reason);
    }
  }
  assert.equal([...(await encoder.early!.finish(paused))], [...(await encoder.score('sky', texts))]);
  await encoder.close();
});

test('the exit comes with its file: read, left out, refused when it is not of these weights or damaged', () => {
  const folder = folderWithExit(5, true, 0.3);
  const model = openCrossEncoderModel(folder);
  assert.equal(model.config.winnow.earlyExit, { layers: 1, keep: 0.3 });
  const plain = openCrossEncoderModel(crossEncoderFolder(5, {}, { pooler: true }));
  assert.is.not(model.hash, plain.hash);
  const without = withoutEarlyExit(model);
  assert.is(without.config.winnow.earlyExit, undefined);
  assert.equal([...without.readWeights().tensors.keys()], [...plain.readWeights().tensors.keys()]);

  const path = join(folder, EARLY_EXIT_FILE);
  const good = readFileSync(path);
  const classifier = classifierOf(model.config.hidden_size, 5);
  const write = (hash: string, layers: number, keep: number) =>
    writeFileSync(path, encodeEarlyExit(hash, { layers, keep }, classifier));
  write('0'.repeat(64), 1, 0.5);
  assert.match(
    messageOf(() => openCrossEncoderModel(folder)),
    /^WINNOW_MODEL_INVALID .*other weights/,
  );
  for (const [layers, keep] of [
    [2, 0.5],
    [0, 0.5],
    [1.5, 0.5],
    [1, 0],
    [1, 2],
  ] as const) {
    write(model.weightsHash, layers, keep);
    assert.match(
      messageOf(() => openCrossEncoderModel(folder)),
      /^WINNOW_MODEL_INVALID .*out of range/,
    );
  }
  const damaged = Buffer.from(good);
  damaged[damaged.length - 3]! ^= 1;
  writeFileSync(path, damaged);
  assert.match(
    messageOf(() => openCrossEncoderModel(folder)),
    /^WINNOW_MODEL_INVALID .*checksum/,
  );
});

test('a classifier that fits exactly is found, and one pair is too little', async () => {
  await check(
    fc.property(fc.nat(1e6), fc.integer({ min: 1, max: 20 }), (seed, hidden) => {
      const random = randomSource(seed);
      const { weights, bias } = classifierOf(hidden, seed);
      const rows = Array.from({ length: 2000 }, () =>
        Float32Array.from({ length: hidden }, () => 6 * random() - 2),
      );
      const logits = rows.map((row) => row.reduce((sum, value, k) => sum + value * weights[k]!, bias));
      const found = fitEarlyClassifier(rows, logits);
      found.weights.forEach((weight, k) => {
        assert.ok(Math.abs(weight - weights[k]!) < 1e-2);
      });
      assert.ok(Math.abs(found.bias - bias) < 0.1, `${found.bias} is not ${bias}`);
    }),
    { numRuns: 20 },
  );
  assert.match(
    messageOf(() => fitEarlyClassifier([new Float32Array(4)], [1])),
    /^WINNOW_BAD_ARGUMENT/,
  );
});

test.run();
