import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openModel, type VectorSettings } from '../../encoder/model.ts';
import { TOKEN_VECTORS, TOKEN_VECTORS_FILE } from '../../encoder/token-vectors.ts';
import { encodeWeights, type Tensor } from '../../encoder/transformer/weights-file.ts';
import { randomModel } from '../encoder/random-model.ts';
import { randomSource } from '../kernels/helpers.ts';
import { tempFolder } from './temp-folder.ts';

/** Numbers per vector of {@link twoOutputFolder}. */
export const VECTOR_SIZE = 20;

/** A small document encoder with two outputs and random weights over the vocabulary of the bundled tokenizer. */
export function twoOutputFolder(seed: number, vector: Partial<VectorSettings> = {}): string {
  const bundled = openModel();
  const { vocab_size, max_position_embeddings } = bundled.config;
  const { config, tensors } = randomModel(seed, { vocab_size, max_position_embeddings });
  const random = randomSource(seed);
  const values = (count: number) => Float32Array.from({ length: count }, () => random() - 0.5);
  const all = new Map<string, Tensor>(tensors);
  const { hidden_size: H } = config;
  all.set('dense.weight', { dtype: 'f32', shape: [VECTOR_SIZE, H], data: values(VECTOR_SIZE * H) });
  all.set('dense.bias', { dtype: 'f32', shape: [VECTOR_SIZE], data: values(VECTOR_SIZE) });
  const folder = tempFolder();
  writeFileSync(join(folder, 'weights.winnow'), encodeWeights(all));
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({ ...config, winnow: { ...config.winnow, vector: { size: VECTOR_SIZE, ...vector } } }),
  );
  for (const name of ['tokenizer.json', 'idf.json']) cpSync(join(bundled.folder, name), join(folder, name));
  if (vector.query === 'tokens')
    writeFileSync(join(folder, TOKEN_VECTORS_FILE), encodeWeights(new Map([[TOKEN_VECTORS, tokenTable()]])));
  return folder;

  function tokenTable(): Tensor {
    const data = Int8Array.from({ length: vocab_size * VECTOR_SIZE }, () => Math.floor(random() * 255) - 127);
    const scales = Float32Array.from({ length: vocab_size }, () => 0.01 + random());
    return { dtype: 'i8', shape: [vocab_size, VECTOR_SIZE], data, scales };
  }
}
