import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../../errors.ts';
import { packageRoot } from '../../package-root.ts';
import { readTransformerConfig, type TransformerConfig } from '../transformer/config.ts';
import { type ModelFolder, openModelFolder } from '../transformer/model-folder.ts';
import {
  EARLY_EXIT_FILE,
  EARLY_TENSORS,
  type EarlyExitFile,
  type EarlyExitSettings,
  readEarlyExit,
} from './early-exit.ts';

/** How a cross-encoder's scores are used; found on development sets (docs/reranking.md). */
export interface CrossEncoderSettings {
  readonly kind: 'cross-encoder';
  /** Share of the cross-encoder's score in the final one, 0..1; the first ranking has the rest. */
  readonly mix: number;
  /** Share where documents were reranked by their vectors before; default {@link mix}. */
  readonly cascadeMix?: number;
  /** Recommended number of documents to rerank, 1..1,000. */
  readonly depth: number;
  /** Relevance of a logit: 1 / (1 + exp(-(slope * logit + offset))). */
  readonly relevance: { readonly slope: number; readonly offset: number };
  /** From the file of the early exit; absent: every pair goes through all layers. */
  readonly earlyExit?: EarlyExitSettings;
}

export interface CrossEncoderConfig extends TransformerConfig {
  readonly winnow: CrossEncoderSettings;
}

export type CrossEncoderModel = ModelFolder<CrossEncoderConfig>;

/** Settings that a model folder may leave out. */
export const DEFAULT_CROSS_ENCODER: CrossEncoderSettings = {
  kind: 'cross-encoder',
  mix: 0.5,
  depth: 50,
  relevance: { slope: 1, offset: 0 },
};

/** Name of the bundled reranker, which is used where none is named. */
export const DEFAULT_RERANKER = 'winnow-rerank';

const bundledFolder = (name: string): string => join(packageRoot, 'models', name);

/** Whether a reranker of that name comes with the package. */
const isBundled = (name: string): boolean => existsSync(join(bundledFolder(name), 'config.json'));

/**
 * Opens the folder of a cross-encoder: `config.json`, `weights.winnow`, `tokenizer.json`. Takes some 40 ms; of the weights only
 * the header is read.
 *
 * @param nameOrPath a bundled model's name or a folder
 * @throws WinnowError WINNOW_MODEL_NOT_FOUND; WINNOW_MODEL_INVALID for a damaged folder or a model of another kind
 */
export function openCrossEncoderModel(nameOrPath: string): CrossEncoderModel {
  const folder = isBundled(nameOrPath) ? bundledFolder(nameOrPath) : nameOrPath;
  if (!existsSync(join(folder, 'config.json')))
    throw new WinnowError('WINNOW_MODEL_NOT_FOUND', `no reranker "${nameOrPath}"`, {
      place: 'reranker',
      hint: 'name the folder of a cross-encoder; `winnow model convert` makes one from a Hugging Face checkpoint',
    });
  const hasExit = existsSync(join(folder, EARLY_EXIT_FILE));
  const model = openModelFolder(folder, readConfig, () => (hasExit ? [EARLY_EXIT_FILE] : []));
  const found = readEarlyExit(folder, model.weightsHash, model.config.num_hidden_layers);
  return found ? withEarlyExit(model, found) : model;
}

/** The same model with an early exit that its folder need not have. */
export function withEarlyExit(
  model: CrossEncoderModel,
  { settings, tensors }: EarlyExitFile,
): CrossEncoderModel {
  const { config } = model;
  const extended = { ...config, winnow: { ...config.winnow, earlyExit: settings } };
  const readWeights = () => ({
    config: extended,
    tensors: new Map([...model.readWeights().tensors, ...tensors]),
  });
  return { ...model, config: extended, readWeights };
}

/** The same model, all of whose pairs go through all layers. */
export function withoutEarlyExit(model: CrossEncoderModel): CrossEncoderModel {
  const { earlyExit: _, ...winnow } = model.config.winnow;
  const config = { ...model.config, winnow };
  const readWeights = () => {
    const tensors = new Map(model.readWeights().tensors);
    for (const name of EARLY_TENSORS) tensors.delete(name);
    return { config, tensors };
  };
  return { ...model, config, readWeights };
}

function readConfig(path: string): CrossEncoderConfig {
  const config = readTransformerConfig(path);
  const given = config.winnow as Partial<CrossEncoderSettings> | undefined;
  const invalid = (message: string, hint: string) =>
    new WinnowError('WINNOW_MODEL_INVALID', message, { place: path, hint });
  if (given?.kind !== 'cross-encoder')
    throw invalid(
      'the model is no cross-encoder',
      'it may be a document encoder: open it with the option model',
    );
  const { mix, cascadeMix, depth, relevance } = { ...DEFAULT_CROSS_ENCODER, ...given };
  const isShare = [mix, cascadeMix ?? mix].every((share) => share >= 0 && share <= 1);
  const isDepth = Number.isInteger(depth) && depth >= 1 && depth <= 1000;
  if (!isShare || !isDepth || !Number.isFinite(relevance?.slope) || !Number.isFinite(relevance?.offset))
    throw invalid(
      'config field "winnow" has a mix, cascadeMix, depth or relevance out of range',
      'mix and cascadeMix are 0..1, depth 1..1000, relevance {slope, offset}',
    );
  const { slope, offset } = relevance;
  return {
    ...config,
    winnow: {
      kind: 'cross-encoder',
      mix,
      ...(cascadeMix === undefined ? {} : { cascadeMix }),
      depth,
      relevance: { slope, offset },
    },
  };
}
