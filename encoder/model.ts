import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../errors.ts';
import { packageRoot } from '../package-root.ts';
import { isScreenOf, SCREEN_FILE } from './head-screen.ts';
import { IdfQueryEncoder, readIdfTable } from './idf-query.ts';
import { TOKEN_VECTORS_FILE, TokenVectors } from './token-vectors.ts';
import { readTransformerConfig, type TransformerConfig } from './transformer/config.ts';
import { type ModelFolder, openModelFolder } from './transformer/model-folder.ts';
import { decodeWeights, type ModelWeights, type Tensor } from './transformer/weights-file.ts';

/** The second output of a model: a vector per document, for reranking. Found on development sets (docs/reranking.md). */
export interface VectorSettings {
  /** Numbers per vector. */
  readonly size: number;
  /**
   * Where a query's vector comes from: `model`: a pass over its tokens; `tokens`: the sum of vectors of its tokens
   * (token-vectors.winnow), so that no model runs and sparse searches always use it.
   */
  readonly query: 'model' | 'tokens';
  /** Share of the cosine in the final score, 0..1; the first ranking has the rest. */
  readonly mix: number;
  /** Recommended number of documents to rerank, 1..1,000. */
  readonly depth: number;
  /** Relevance of a cosine: 1 / (1 + exp(-(slope * cosine + offset))). */
  readonly relevance: { readonly slope: number; readonly offset: number };
}

/** Shape of the BERT body and how logits become weights; the fields of Hugging Face's config.json plus `winnow`. */
export interface ModelConfig extends TransformerConfig {
  readonly winnow: {
    /** `log1p`: log(1 + relu(x)); `log1p2`: log(1 + log(1 + relu(x))) (arXiv 2504.14839). */
    readonly activation: 'log1p' | 'log1p2';
    /** A term's weight is its activation to this power, above 0; default 1. Found after training (docs/training.md). */
    readonly exponent: number;
    /** Weight that impact 255 represents in an index of this model; larger weights are clipped to it. */
    readonly maxWeight: number;
    /** Absent for models that make weights only. */
    readonly vector?: VectorSettings;
  };
}

/** A sparse model: the folder of a document encoder, and its query side, which is loaded. */
export interface Model extends ModelFolder<ModelConfig> {
  readonly query: IdfQueryEncoder;
  /**
   * @param options `screen: false` leaves out the tensors of head-screen.winnow, which else are among the weights where the file exists
   * @throws WinnowError WINNOW_MODEL_INVALID for a damaged file, or a screen that was made for other weights
   */
  readWeights(options?: { readonly screen?: boolean }): ModelWeights<ModelConfig>;
  /** The table of token vectors; present where the config says `tokens`. Takes some 10 ms. @throws WinnowError WINNOW_MODEL_INVALID */
  readTokenVectors?(): TokenVectors;
}

/** Values of `config.winnow.vector` that a model folder may leave out; a cosine of .5 is taken for a relevance of .5. */
export const DEFAULT_VECTOR = {
  query: 'model',
  mix: 0.5,
  depth: 100,
  relevance: { slope: 10, offset: -5 },
} as const satisfies Omit<VectorSettings, 'size'>;

/** Values of `config.winnow` that a model folder may leave out. */
export const DEFAULT_WINNOW_CONFIG: ModelConfig['winnow'] = {
  activation: 'log1p',
  exponent: 1,
  maxWeight: 3,
};

function readConfig(path: string): ModelConfig {
  const config = readTransformerConfig(path);
  if ((config.winnow as { readonly kind?: unknown } | undefined)?.kind === 'cross-encoder')
    throw new WinnowError('WINNOW_MODEL_INVALID', 'the model is a cross-encoder: it encodes no documents', {
      place: path,
      hint: 'open it with the option reranker',
    });
  const winnow = {
    ...DEFAULT_WINNOW_CONFIG,
    ...(config.winnow as Partial<ModelConfig['winnow']> | undefined),
  };
  const { activation, exponent, maxWeight } = winnow;
  const known = activation === 'log1p' || activation === 'log1p2';
  if (!known || !(exponent > 0 && exponent < Infinity) || !(maxWeight > 0)) {
    throw new WinnowError(
      'WINNOW_MODEL_INVALID',
      'config field "winnow" has an unknown activation, or an exponent or maxWeight that is not above 0',
      { place: path },
    );
  }
  // Exactly these fields, in this order: the model's hash covers the text of the config.
  const vector = winnow.vector && { vector: checkVector(winnow.vector, path) };
  return { ...config, winnow: { activation, exponent, maxWeight, ...vector } };
}

function checkVector(given: Partial<VectorSettings>, place: string): VectorSettings {
  const { size, query, mix, depth, relevance } = { ...DEFAULT_VECTOR, ...given };
  const isSize = Number.isInteger(size) && size! >= 1 && size! <= 4096;
  const isUse = (query === 'model' || query === 'tokens') && mix >= 0 && mix <= 1;
  const isDepth = Number.isInteger(depth) && depth >= 1 && depth <= 1000;
  const { slope, offset } = relevance ?? {};
  if (!isSize || !isUse || !isDepth || !Number.isFinite(slope) || !Number.isFinite(offset))
    throw new WinnowError('WINNOW_MODEL_INVALID', 'config field "winnow.vector" has a value out of range', {
      place,
      hint: 'size is 1..4096, query "model" or "tokens", mix 0..1, depth 1..1000, relevance {slope, offset}',
    });
  return { size: size!, query, mix, depth, relevance: { slope, offset } };
}

const headFiles = ({ winnow: { vector } }: ModelConfig): readonly string[] =>
  vector?.query === 'tokens' ? ['idf.json', TOKEN_VECTORS_FILE] : ['idf.json'];

/** Of the vector's settings, its size decides what is indexed; the others are of use to queries alone. */
function withoutCalibration(config: ModelConfig): unknown {
  const { winnow } = config;
  if (!winnow.vector) return config;
  return { ...config, winnow: { ...winnow, vector: { size: winnow.vector.size } } };
}

/** Name of the model that is used where none is named. */
export const DEFAULT_MODEL = 'winnow-mini';

/** Folder of a bundled model by name, or the path itself when it has a config.json. */
function findFolder(nameOrPath: string): string {
  const bundled = join(packageRoot, 'models', nameOrPath);
  for (const folder of [bundled, nameOrPath]) {
    if (existsSync(join(folder, 'config.json'))) return folder;
  }
  throw new WinnowError('WINNOW_MODEL_NOT_FOUND', `no model "${nameOrPath}"`, {
    hint: `name a bundled model (${DEFAULT_MODEL}) or a folder with config.json, weights.winnow, tokenizer.json and idf.json`,
  });
}

/** The screen changes how fast a model is and is not part of its hash. */
function readAll(
  model: ModelFolder<ModelConfig>,
  { screen = true }: { readonly screen?: boolean } = {},
): ModelWeights<ModelConfig> {
  const weights = model.readWeights();
  const path = join(model.folder, SCREEN_FILE);
  if (!screen || !existsSync(path)) return weights;
  return { ...weights, tensors: new Map([...weights.tensors, ...readScreen(path, model)]) };
}

/** @throws WinnowError WINNOW_MODEL_INVALID for a damaged file, or one that was made for other weights */
function readScreen(path: string, { weightsHash }: ModelFolder): ReadonlyMap<string, Tensor> {
  const screen = decodeWeights(readFileSync(path), path);
  if (isScreenOf(screen, weightsHash)) return screen;
  throw new WinnowError('WINNOW_MODEL_INVALID', 'the screen was made for other weights', {
    place: path,
    hint: 'make a new one with `winnow model screen`, or delete the file: the model then works more slowly',
  });
}

/**
 * Opens a model folder: `config.json`, `weights.winnow`, `tokenizer.json`, `idf.json`. Takes some 40 ms; the weights are
 * only read by {@link Model.readWeights}.
 *
 * @param nameOrPath a bundled model's name or a folder
 * @throws WinnowError WINNOW_MODEL_NOT_FOUND, WINNOW_MODEL_INVALID
 */
export function openModel(nameOrPath: string = DEFAULT_MODEL): Model {
  const files = openModelFolder(findFolder(nameOrPath), readConfig, headFiles, withoutCalibration);
  const model = {
    ...files,
    readWeights: (options?: { readonly screen?: boolean }) => readAll(files, options),
  };
  const idf = readIdfTable(join(model.folder, 'idf.json'), model.tokenizer);
  const query = new IdfQueryEncoder(model.tokenizer, idf);
  const { vector } = model.config.winnow;
  if (vector?.query !== 'tokens') return { ...model, query };
  const path = join(model.folder, TOKEN_VECTORS_FILE);
  const vocabulary = model.config.vocab_size;
  return { ...model, query, readTokenVectors: () => TokenVectors.read(path, vocabulary, vector.size) };
}
