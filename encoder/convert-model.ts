import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WinnowError } from '../errors.ts';
import { SCREEN_FILE } from './head-screen.ts';
import {
  DEFAULT_VECTOR,
  DEFAULT_WINNOW_CONFIG,
  type Model,
  type ModelConfig,
  openModel,
  type VectorSettings,
} from './model.ts';
import { EARLY_EXIT_FILE } from './rerank/early-exit.ts';
import { type CrossEncoderModel, DEFAULT_CROSS_ENCODER, openCrossEncoderModel } from './rerank/model.ts';
import { TOKEN_VECTORS, TOKEN_VECTORS_FILE } from './token-vectors.ts';
import { readSafetensors } from './transformer/safetensors.ts';
import { detectPattern } from './transformer/sparse-storage.ts';
import { encodeWeights, type Tensor } from './transformer/weights-file.ts';

export interface ConvertOptions {
  /** Table of query weights, JSON `{"token": idf}`; document encoders need one. */
  readonly idf?: string;
  /** Default: config.json beside the weights. */
  readonly config?: string;
  /** Default: tokenizer.json beside the weights. */
  readonly tokenizer?: string;
}

/**
 * Makes a model folder from a Hugging Face checkpoint: a document encoder from a BertForMaskedLM, a cross-encoder from a
 * BertForSequenceClassification with one label. The weights become int8, one scale per row. A matrix whose zeros follow a
 * pattern (4:16, 8:16, 4x1 blocks of which at most half are kept) is stored in it, and its kernel skips the zeros.
 *
 * @param source folder with model.safetensors, config.json and tokenizer.json, or a safetensors file
 * @param target folder to write; created if missing, may be `source`; files of a model that are there are replaced
 * @returns the new model, opened
 * @throws WinnowError WINNOW_MODEL_NOT_FOUND for a missing file, WINNOW_MODEL_INVALID when the files are no such model
 */
export function convertModel(
  source: string,
  target: string,
  { idf, ...files }: ConvertOptions,
): Model | CrossEncoderModel {
  const isFile = existsSync(source) && statSync(source).isFile();
  const weightsPath = isFile ? source : join(source, 'model.safetensors');
  const folder = isFile ? dirname(source) : source;
  const configPath = files.config ?? join(folder, 'config.json');
  const tensors = readSafetensors(read(weightsPath), weightsPath);
  const config = readJson(read(configPath), configPath);
  const isCrossEncoder = tensors.has('classifier.weight');
  if (isCrossEncoder) requireOneLabel(tensors, weightsPath);
  const given = config.winnow as Partial<ModelConfig['winnow']> | undefined;
  const vector = isCrossEncoder ? undefined : secondOutput(tensors, given?.vector, weightsPath);
  config.winnow = {
    ...(isCrossEncoder ? DEFAULT_CROSS_ENCODER : DEFAULT_WINNOW_CONFIG),
    ...given,
    ...(vector && { vector: vector.settings }),
  };
  // Copied by content: a read-only source must not make a read-only model.
  const tokenizer = read(files.tokenizer ?? join(folder, 'tokenizer.json'));
  const table = isCrossEncoder ? undefined : read(requireIdf(idf));
  mkdirSync(target, { recursive: true });
  // Screen and early exit belong to the weights that they were made for.
  for (const name of [SCREEN_FILE, EARLY_EXIT_FILE]) rmSync(join(target, name), { force: true });
  writeFileSync(join(target, 'weights.winnow'), encodeWeights(withPatterns(tensors)));
  if (vector?.tokens)
    writeFileSync(join(target, TOKEN_VECTORS_FILE), encodeWeights(new Map([[TOKEN_VECTORS, vector.tokens]])));
  writeFileSync(join(target, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  writeFileSync(join(target, 'tokenizer.json'), tokenizer);
  if (table) writeFileSync(join(target, 'idf.json'), table);
  return isCrossEncoder ? openCrossEncoderModel(target) : openModel(target);
}

/** The same tensors, each matrix with the pattern of its zeros. */
function withPatterns(tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const withPattern = (tensor: Tensor): Tensor => {
    if (tensor.dtype !== 'i8') return tensor;
    const pattern = detectPattern(tensor.data, tensor.shape[1]);
    return pattern === undefined ? tensor : { ...tensor, pattern };
  };
  return new Map([...tensors].map(([name, tensor]) => [name, withPattern(tensor)]));
}

/** Where a checkpoint has the map of its second output, and the table of token vectors. */
const MAP = ['dense.weight', 'dense.bias'] as const;
const TOKEN_TABLE = 'token.table.weight';

/**
 * Settings of the second output, and the table of token vectors, which moves to a file of its own. Where the settings name a size below
 * that of the map, its first rows are kept: they are trained to be a vector by themselves.
 *
 * @returns undefined for a model that makes weights only
 */
function secondOutput(
  tensors: Map<string, Tensor>,
  given: Partial<VectorSettings> | undefined,
  place: string,
): { readonly settings: VectorSettings; readonly tokens: Tensor | undefined } | undefined {
  const tokens = tensors.get(TOKEN_TABLE);
  // Other parts of training that no output needs.
  for (const name of [...tensors.keys()]) if (name.startsWith('token.')) tensors.delete(name);
  const map = tensors.get(MAP[0]);
  if (!map) return undefined;
  const settings = { ...DEFAULT_VECTOR, size: map.shape[0]!, ...given };
  if (settings.size > map.shape[0]!)
    throw new WinnowError(
      'WINNOW_MODEL_INVALID',
      `winnow.vector.size is ${settings.size}, the model's vectors have ${map.shape[0]} numbers`,
      { place, hint: 'name a size that the model has, or leave it out' },
    );
  for (const name of MAP) tensors.set(name, firstRows(tensors.get(name)!, settings.size));
  return { settings, tokens: settings.query === 'tokens' ? tokens : undefined };
}

function firstRows(tensor: Tensor, rows: number): Tensor {
  const count = (rows * tensor.data.length) / tensor.shape[0]!;
  if (tensor.dtype === 'f32')
    return { ...tensor, shape: [rows, ...tensor.shape.slice(1)], data: tensor.data.subarray(0, count) };
  return {
    ...tensor,
    shape: [rows, tensor.shape[1]],
    data: tensor.data.subarray(0, count),
    scales: tensor.scales.subarray(0, rows),
  };
}

function read(path: string): Buffer {
  if (existsSync(path)) return readFileSync(path);
  throw new WinnowError('WINNOW_MODEL_NOT_FOUND', 'the file does not exist', {
    place: path,
    hint: 'the source needs model.safetensors, config.json and tokenizer.json; --idf names the table of query weights',
  });
}

function requireIdf(idf: string | undefined): string {
  if (idf !== undefined) return idf;
  throw new WinnowError('WINNOW_BAD_ARGUMENT', 'a document encoder needs a table of query weights', {
    place: 'idf',
    hint: 'name it with --idf FILE, JSON {"token": idf}',
  });
}

function requireOneLabel(tensors: ReadonlyMap<string, Tensor>, place: string): void {
  const [labels] = tensors.get('classifier.weight')!.shape;
  if (labels === 1) return;
  throw new WinnowError('WINNOW_MODEL_INVALID', `the classifier has ${labels} labels, a reranker has one`, {
    place,
    hint: 'convert a cross-encoder that was trained with one label (num_labels 1)',
  });
}

function readJson(file: Buffer, place: string): Record<string, unknown> {
  try {
    return JSON.parse(file.toString('utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new WinnowError('WINNOW_MODEL_INVALID', 'config.json is not JSON', { place, cause });
  }
}
