import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createDocumentEncoder } from '../../../encoder/document-encoder.ts';
import { openModel } from '../../../encoder/model.ts';
import { BatchOrder } from '../../../encoder/training/data/batches.ts';
import { StateCache } from '../../../encoder/training/data/states.ts';
import { learningRateAt } from '../../../encoder/training/engine/adamw.ts';
import { orderOf, reorder } from '../../../encoder/training/engine/slices.ts';
import { TEAM_WORDS, Team } from '../../../encoder/training/engine/team.ts';
import { createModelFolder } from '../../../encoder/training/new-model.ts';
import { quantizeWeightRows, TensorSource } from '../../../encoder/transformer/tensor-source.ts';
import type { ModelWeights, Tensor } from '../../../encoder/transformer/weights-file.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';
import { codeOf } from '../../helpers/thrown.ts';
import { relativeError } from '../../kernels/helpers.ts';
import { exactLogits, exactStates, randomModel } from '../random-model.ts';
import { tinyModel } from './tiny.ts';

const test = suite('training: parts');

/** The same model with int8 matrices, as model files have them. */
function quantized({ config, tensors }: ModelWeights): ModelWeights {
  const stored = (tensor: Tensor): Tensor => {
    if (tensor.dtype === 'i8' || tensor.shape.length !== 2) return tensor;
    const [rows, columns] = tensor.shape as [number, number];
    return { dtype: 'i8', shape: [rows, columns], ...quantizeWeightRows(tensor.data, rows, columns) };
  };
  return { config, tensors: new Map([...tensors].map(([name, tensor]) => [name, stored(tensor)])) };
}

/** The same model in f32. */
function dequantized({ config, tensors }: ModelWeights): ModelWeights {
  const source = new TensorSource(tensors);
  return {
    config,
    tensors: new Map(
      [...tensors].map(([name, { shape }]) => [
        name,
        { dtype: 'f32', shape, data: source.floats(name, shape) },
      ]),
    ),
  };
}

test('channels and heads in another order compute the same, int8 or f32', () => {
  const ids = [3, 7, 30, 150, 5];
  for (const model of [randomModel(4), quantized(randomModel(4))]) {
    const order = orderOf(model.tensors, model.config, 1);
    assert.is.not(order.channels.join(), [...order.channels].sort((a, b) => a - b).join());
    const heads = [...order.heads].reverse();
    const tensors = reorder(model.tensors, model.config, 1, { ...order, heads });
    const [before, after] = [model, { ...model, tensors }].map((one) =>
      exactLogits(dequantized(one), ids).flat(),
    );
    assert.ok(relativeError(before!, after!) < 1e-6);
  }
});

test('states are those of the body, within bf16, and are computed once', async () => {
  const model = randomModel(8);
  const sequences = [{ ids: [3, 7, 30] }, { ids: [3, 90, 91, 92, 5], typeIds: [0, 0, 1, 1, 1] }];
  const folder = tempFolder();
  const H = model.config.hidden_size;
  for (const firstRows of [false, true]) {
    let reports = 0;
    const options = { layers: 2, firstRows, folder, threads: 0, onProgress: () => void reports++ };
    const cache = await StateCache.open(model, 'a', sequences, options);
    sequences.forEach(({ ids, typeIds }, i) => {
      const rows = firstRows ? 1 : ids.length;
      assert.is(cache.rows(i), rows);
      const found = new Float32Array(rows * H);
      cache.load(i, found);
      const exact = exactStates(model, ids, typeIds).slice(0, rows).flat();
      assert.ok(relativeError(exact, found) < 0.05, `sequence ${i}: int8 and bf16`);
    });
    cache.close();
    assert.is(reports, 1);
    (await StateCache.open(model, 'a', sequences, options)).close();
    assert.is(reports, 1, 'the second time they are read');
  }
});

test('every epoch has every example once, in another order, whatever the batch size', () => {
  const order = new BatchOrder(7, 3, 5);
  const seen = Array.from({ length: 7 }, (_, step) => order.batch(step)).flat();
  for (const epoch of [0, 1, 2])
    assert.equal(seen.slice(7 * epoch, 7 * epoch + 7).sort(), [0, 1, 2, 3, 4, 5, 6]);
  assert.is.not(seen.slice(0, 7).join(), seen.slice(7, 14).join());
  assert.equal(new BatchOrder(7, 3, 5).batch(4), order.batch(4), 'steps can be asked for in any order');
  assert.is(new BatchOrder(2, 16, 1).batch(0).length, 2);
});

test('the learning rate rises to its peak and falls to almost 0', () => {
  const rates = Array.from({ length: 100 }, (_, step) => learningRateAt(step, 100, 2));
  const peak = rates.indexOf(2);
  assert.ok(peak > 0 && peak < 10);
  rates.slice(1).forEach((rate, i) => {
    assert.ok(i < peak ? rate > rates[i]! : rate < rates[i]! || rate === 2);
  });
  assert.ok(rates[99]! > 0 && rates[99]! < 0.05);
  assert.ok(learningRateAt(0, 1, 2) > 0);
});

test('a team of one runs every item in order', () => {
  const team = new Team(new Int32Array(new SharedArrayBuffer(4 * TEAM_WORDS)), 0, 1);
  const items: number[] = [];
  team.each(4, (item) => items.push(item));
  team.each(0, () => assert.unreachable());
  assert.equal(items, [0, 1, 2, 3]);
});

test('a new model is a model of words: a passage has its own words and hardly any others', async () => {
  const folder = join(tempFolder(), 'new');
  const texts = ['the lighthouse keeper climbs the stairs at night', 'rain falls on the harbour'];
  createModelFolder({ texts, target: folder, vocabulary: 700 });
  const model = openModel(folder);
  const encoder = await createDocumentEncoder(model, { threads: 0 });
  const { termIds } = (await encoder.encode([texts[0]!]))[0]!;
  await encoder.close();
  const own = new Set(model.tokenizer.encode(texts[0]!));
  const found = [...termIds].filter((id) => own.has(id)).length;
  assert.ok(found >= 0.8 * own.size, `${found} of ${own.size} words`);
  assert.ok(termIds.length < own.size + 20, `${termIds.length} terms`);
  const idf = JSON.parse(readFileSync(join(folder, 'idf.json'), 'utf8'));
  assert.ok(idf.lighthouse > idf.the);
  assert.not(model.tokenizer.encode('zebra').includes(100), 'any word of known characters has tokens');
});

test('a new model of bad sizes is refused, and nothing is written', async () => {
  const target = join(tempFolder(), 'none');
  const bad = [{ texts: [] }, { vocabulary: 10 }, { hiddenSize: 100 }, { layers: 0 }];
  for (const one of bad)
    assert.is(
      await codeOf(() => createModelFolder({ texts: ['a'], target, ...one })),
      'WINNOW_BAD_ARGUMENT model',
    );
  assert.not(existsSync(target));
  assert.ok(existsSync(tinyModel().model));
});

test.run();
