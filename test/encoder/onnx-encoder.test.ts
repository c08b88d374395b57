import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { exportOnnx } from '../../bench/onnx-export.ts';
import { createDocumentEncoder } from '../../encoder/document-encoder.ts';
import { openModel } from '../../encoder/model.ts';
import { createOnnxEncoder } from '../../encoder/onnx-encoder.ts';
import { sparseHead } from '../../encoder/sparse-head.ts';
import { InferencePool } from '../../encoder/transformer/inference-pool.ts';
import { encodeWeights } from '../../encoder/transformer/weights-file.ts';
import type { SparseVector } from '../../encoder/types.ts';
import { WinnowError } from '../../errors.ts';
import { randomModel } from './random-model.ts';

const test = suite('ONNX encoder');
const folder = mkdtempSync(join(tmpdir(), 'winnow-onnx-'));
const model = randomModel(5, { winnow: { activation: 'log1p', exponent: 0.5, maxWeight: 3 } });

test.before(() => {
  mkdirSync(join(folder, 'onnx'));
  const json = (file: string, value: object) => writeFileSync(join(folder, file), JSON.stringify(value));
  const { winnow: _, ...config } = model.config;
  json('config.json', { ...config, model_type: 'bert', architectures: ['BertForMaskedLM'] });
  json('tokenizer_config.json', { tokenizer_class: 'BertTokenizer', model_max_length: 40 });
  const words = Array.from({ length: 211 }, (_, id) => `w${id}`);
  for (const [id, token] of [
    [0, '[PAD]'],
    [100, '[UNK]'],
    [101, '[CLS]'],
    [102, '[SEP]'],
    [103, '[MASK]'],
  ] as const) {
    words[id] = token;
  }
  json('tokenizer.json', {
    version: '1.0',
    added_tokens: [100, 101, 102].map((id) => ({
      id,
      content: words[id],
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    post_processor: {
      type: 'TemplateProcessing',
      single: [
        { SpecialToken: { id: '[CLS]', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '[SEP]', type_id: 0 } },
      ],
      pair: [],
      special_tokens: {
        '[CLS]': { id: '[CLS]', ids: [101], tokens: ['[CLS]'] },
        '[SEP]': { id: '[SEP]', ids: [102], tokens: ['[SEP]'] },
      },
    },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
    },
  });
  for (const [file, precision, pooled] of [
    ['model.onnx', 'f32', false],
    // 7 bits, as on processors without VNNI onnxruntime's products of 8 bits saturate.
    ['model_quantized.onnx', 'int7', true],
  ] as const) {
    writeFileSync(join(folder, 'onnx', file), exportOnnx(model, { precision, pooled }));
  }
});

test.after(() => rmSync(folder, { recursive: true, force: true }));

test('f32 logits and pooled int8 exports give the vectors of the kernels', async () => {
  const ids = [101, 7, 150, 42, 7, 209, 102];
  const pool = InferencePool.create(sparseHead, model, { threads: 0 });
  const [own] = await pool.run([{ ids }]);
  for (const dtype of ['fp32', 'q8'] as const) {
    const onnx = await createOnnxEncoder(folder, { dtype, threads: 1, weighting: model.config.winnow });
    const { vectors, tokens } = await onnx.encode(['w7 w150 w42 w7 w209']);
    await onnx.close();
    assert.is(tokens, ids.length);
    const other = new Map([...vectors[0]!.termIds].map((id, i) => [id, vectors[0]!.weights[i]!]));
    const norm = (weights: Float32Array) => Math.hypot(...weights);
    let dot = 0;
    own!.termIds.forEach((id, i) => {
      dot += own!.weights[i]! * (other.get(id) ?? 0);
    });
    const cosine = dot / norm(own!.weights) / norm(vectors[0]!.weights);
    assert.ok(cosine > 0.998, `${dtype}: cosine ${cosine}`);
  }
});

test('a document encoder with the backend onnx runs onnx/model.onnx of the model folder', async () => {
  writeFileSync(join(folder, 'weights.winnow'), encodeWeights(model.tensors));
  writeFileSync(join(folder, 'idf.json'), '{}');
  // The folder's config.json is that of the export, so weights are those of the default exponent.
  const opened = openModel(folder);
  const text = 'w7 w150 w42 w7 w209';
  const vectors: SparseVector[] = [];
  for (const backend of ['native', 'onnx'] as const) {
    const encoder = await createDocumentEncoder(opened, { backend, threads: 0 });
    assert.is(encoder.backend, backend);
    assert.is(encoder.modelHash, opened.hash);
    vectors.push(...(await encoder.encode([text])));
    await encoder.close();
  }
  const [own, other] = vectors;
  own!.termIds.forEach((id, i) => {
    const weight = other!.weights[other!.termIds.indexOf(id)] ?? 0;
    assert.ok(Math.abs(weight - own!.weights[i]!) < 0.1, `term ${id}: ${weight} for ${own!.weights[i]}`);
  });
});

test('the backend onnx needs a model folder that has an export', async () => {
  try {
    await createDocumentEncoder(openModel(), { backend: 'onnx' });
  } catch (error) {
    assert.ok(error instanceof WinnowError && error.code === 'WINNOW_BAD_ARGUMENT');
    assert.is(error.place, 'backend');
    return;
  }
  assert.unreachable();
});

test('a name that is no folder is refused instead of downloaded', async () => {
  try {
    await createOnnxEncoder('someone/some-model');
  } catch (error) {
    assert.ok(error instanceof WinnowError && error.code === 'WINNOW_MODEL_NOT_FOUND');
    return;
  }
  assert.unreachable();
});

test.run();
