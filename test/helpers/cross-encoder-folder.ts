import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openModel } from '../../encoder/model.ts';
import { DEFAULT_CROSS_ENCODER } from '../../encoder/rerank/model.ts';
import { encodeWeights, type Tensor } from '../../encoder/transformer/weights-file.ts';
import { randomModel } from '../encoder/random-model.ts';
import { randomSource } from '../kernels/helpers.ts';
import { tempFolder } from './temp-folder.ts';

/** The tensors of a small cross-encoder with random weights over the vocabulary of the bundled tokenizer. */
export function randomCrossEncoder(seed: number, { pooler = false, labels = 1 } = {}) {
  const { vocab_size, max_position_embeddings } = openModel().config;
  const { config, tensors } = randomModel(seed, { vocab_size, max_position_embeddings });
  const { winnow: _, ...published } = config;
  const random = randomSource(seed);
  const all = new Map<string, Tensor>([...tensors].filter(([name]) => !name.startsWith('cls.')));
  const add = (name: string, shape: number[]): void => {
    const count = shape.reduce((product, size) => product * size, 1);
    all.set(name, { dtype: 'f32', shape, data: Float32Array.from({ length: count }, () => random() - 0.5) });
  };
  const H = config.hidden_size;
  if (pooler) {
    add('bert.pooler.dense.weight', [H, H]);
    add('bert.pooler.dense.bias', [H]);
  }
  add('classifier.weight', [labels, H]);
  add('classifier.bias', [labels]);
  return { config: published, tensors: all };
}

/** A model folder of {@link randomCrossEncoder}. @param winnow settings instead of the default ones */
export function crossEncoderFolder(
  seed: number,
  winnow: object = {},
  options: { pooler?: boolean } = {},
): string {
  const folder = tempFolder();
  const { config, tensors } = randomCrossEncoder(seed, options);
  writeFileSync(join(folder, 'weights.winnow'), encodeWeights(tensors));
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({ ...config, winnow: { ...DEFAULT_CROSS_ENCODER, ...winnow } }),
  );
  cpSync(join(openModel().folder, 'tokenizer.json'), join(folder, 'tokenizer.json'));
  return folder;
}
