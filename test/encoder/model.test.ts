import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createDocumentEncoder } from '../../encoder/document-encoder.ts';
import { openModel } from '../../encoder/model.ts';
import type { WinnowError } from '../../errors.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('model folder');
const invalid = (e: WinnowError) => e.code === 'WINNOW_MODEL_INVALID';

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
    vector!.weights[vector!.termIds.indexOf(model.tokenizer.tokens.indexOf(token))] ?? 0;
  // Recorded in PyTorch with float32 arithmetic, without exponent; int8 arithmetic may move a weight by a few hundredths.
  for (const [token, recorded] of Object.entries({ york: 1.777, rainy: 1.581, rain: 1.604, nyc: 1.116 })) {
    const weight = recorded ** model.config.winnow.exponent;
    assert.ok(Math.abs(weightOf(token) - weight) < 0.06, `${token}: ${weightOf(token)}, recorded ${weight}`);
  }
  assert.ok(vector!.termIds.every((id, i) => i === 0 || id > vector!.termIds[i - 1]!));
});

test.run();
