import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { quantizeRows } from '../../encoder/convert/safetensors.ts';
import { createDocumentEncoder } from '../../encoder/document-encoder.ts';
import { decodeWeights, encodeWeights, openModel, type Tensor } from '../../encoder/model-file.ts';
import type { WinnowError } from '../../errors.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('model file');
const invalid = (e: WinnowError) => e.code === 'WINNOW_MODEL_INVALID';

function tensors(): Map<string, Tensor> {
  const values = Float32Array.from({ length: 12 }, (_, i) => Math.sin(i));
  return new Map<string, Tensor>([
    ['matrix', quantizeRows(values, [3, 4])],
    ['bias', { dtype: 'f32', shape: [3], data: Float32Array.of(1, -2, 0.5) }],
  ]);
}

test('weights come back as they were written', () => {
  const read = decodeWeights(encodeWeights(tensors()), 'test');
  assert.equal([...read], [...tensors()]);
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

test('a model folder without a part, or with a broken one, is a coded error', () => {
  const { folder } = openModel();
  const copy = (change: (to: string) => void): string => {
    const to = join(tempFolder(), 'model');
    mkdirSync(to);
    for (const name of ['config.json', 'idf.json', 'tokenizer.json', 'weights.winnow'])
      cpSync(join(folder, name), join(to, name));
    change(to);
    return to;
  };
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  assert.throws(
    () => openModel('no-such-model'),
    (e: WinnowError) => e.code === 'WINNOW_MODEL_NOT_FOUND',
  );
  for (const change of [
    (to: string) => writeFileSync(join(to, 'config.json'), '{'),
    (to: string) => writeFileSync(join(to, 'config.json'), JSON.stringify({ ...config, hidden_size: 0 })),
    (to: string) => writeFileSync(join(to, 'config.json'), JSON.stringify({ ...config, vocab_size: 7 })),
    (to: string) => writeFileSync(join(to, 'idf.json'), '{"the": -1}'),
    (to: string) => writeFileSync(join(to, 'tokenizer.json'), '{"model":{"type":"BPE"}}'),
    (to: string) => writeFileSync(join(to, 'weights.winnow'), 'nothing'),
  ]) {
    assert.throws(() => openModel(copy(change)), invalid);
  }
});

test('the hash changes with the idf table', () => {
  const { folder, hash } = openModel();
  const to = join(tempFolder(), 'model');
  mkdirSync(to);
  for (const name of ['config.json', 'idf.json', 'tokenizer.json', 'weights.winnow'])
    cpSync(join(folder, name), join(to, name));
  assert.is(openModel(to).hash, hash);
  writeFileSync(join(to, 'idf.json'), readFileSync(join(to, 'idf.json'), 'utf8').replace(/\d/, '3'));
  assert.is.not(openModel(to).hash, hash);
});

test('the bundled model gives its recorded vector for one sentence', async () => {
  const model = openModel();
  const encoder = await createDocumentEncoder(model, { threads: 0 });
  const [vector] = await encoder.encode(['Currently New York is rainy.']);
  await encoder.close();
  const weightOf = (token: string) =>
    vector!.weights[vector!.termIds.indexOf(model.query.tokenizer.tokens.indexOf(token))] ?? 0;
  // Recorded in PyTorch with float32 arithmetic, without exponent; int8 arithmetic may move a weight by a few hundredths.
  for (const [token, recorded] of Object.entries({ york: 1.7, rainy: 1.39, rain: 1.53, nyc: 1.12 })) {
    const weight = recorded ** model.config.winnow.exponent;
    assert.ok(Math.abs(weightOf(token) - weight) < 0.06, `${token}: ${weightOf(token)}, recorded ${weight}`);
  }
  assert.ok(vector!.termIds.every((id, i) => i === 0 || id > vector!.termIds[i - 1]!));
});

test.run();
