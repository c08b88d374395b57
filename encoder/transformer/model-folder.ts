import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../../errors.ts';
import type { TransformerConfig } from './config.ts';
import { WordPieceTokenizer } from './tokenizer/wordpiece.ts';
import { decodeWeights, type ModelWeights, readWeightsHeader } from './weights-file.ts';

/** A model on disk. Its tokenizer is loaded; its weights are only read by {@link ModelFolder.readWeights}. */
export interface ModelFolder<Config extends TransformerConfig = TransformerConfig> {
  /** Last part of the folder's path, e.g. `winnow-mini`. */
  readonly name: string;
  readonly folder: string;
  readonly config: Config;
  readonly tokenizer: WordPieceTokenizer;
  /** SHA-256 (first 16 hex digits) over weights, tokenizer, files of the head and what of the config decides the outputs. */
  readonly hash: string;
  /** SHA-256 in hexadecimal of the weights alone. */
  readonly weightsHash: string;
  /** @throws WinnowError WINNOW_MODEL_INVALID for a damaged weights file */
  readWeights(): ModelWeights<Config>;
}

/**
 * Opens a folder of `config.json`, `weights.winnow` and `tokenizer.json`. Takes some 40 ms: of the weights only the header
 * is read.
 *
 * @param readConfig reads and checks `config.json` with the fields of the head
 * @param headFiles names of further files that must exist and that the hash covers
 * @param decisive what of the config decides the model's outputs: the rest may change without making indexes unusable
 * @throws WinnowError WINNOW_MODEL_NOT_FOUND for a missing file, WINNOW_MODEL_INVALID for a damaged one
 */
export function openModelFolder<Config extends TransformerConfig>(
  folder: string,
  readConfig: (path: string) => Config,
  headFiles: (config: Config) => readonly string[] = () => [],
  decisive: (config: Config) => unknown = (config) => config,
): ModelFolder<Config> {
  const file = (name: string): string => {
    const path = join(folder, name);
    if (!existsSync(path))
      throw new WinnowError('WINNOW_MODEL_NOT_FOUND', `the model has no ${name}`, { place: folder });
    return path;
  };
  const config = readConfig(file('config.json'));
  const tokenizerPath = file('tokenizer.json');
  const headPaths = headFiles(config).map(file);
  const weightsPath = file('weights.winnow');
  const tokenizer = WordPieceTokenizer.fromFile(tokenizerPath);
  if (tokenizer.vocabularySize !== config.vocab_size) {
    throw new WinnowError(
      'WINNOW_MODEL_INVALID',
      `tokenizer.json has ${tokenizer.vocabularySize} tokens, config.json has ${config.vocab_size}`,
      { place: folder },
    );
  }
  const hash = createHash('sha256');
  const header = readWeightsHeader(weightsPath);
  hash.update(header);
  hash.update(JSON.stringify(decisive(config)));
  for (const path of [tokenizerPath, ...headPaths]) hash.update(readFileSync(path));
  return {
    name: folder.split(/[\\/]/).filter(Boolean).at(-1) ?? folder,
    folder,
    config,
    tokenizer,
    hash: hash.digest('hex').slice(0, 16),
    weightsHash: createHash('sha256').update(header).digest('hex'),
    readWeights: () => ({ config, tensors: decodeWeights(readFileSync(weightsPath), weightsPath) }),
  };
}
