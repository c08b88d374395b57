import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../../errors.ts';
import { isMadeFor, madeFor } from '../transformer/made-for.ts';
import { decodeWeights, encodeWeights, type Tensor } from '../transformer/weights-file.ts';
import type { EarlyClassifier } from './fit-early-exit.ts';

/** File of a model folder with its early exit: a weights file with the tensors below. Without it every pair goes through all layers. */
export const EARLY_EXIT_FILE = 'early-exit.winnow';

/** `.weight` [1][H] and `.bias` [1]: of the [CLS] row after the early layers, before any pooler. */
export const EARLY_CLASSIFIER = 'early.classifier';
const LAYERS = 'early.layers';
const KEEP = 'early.keep';
const NAME = 'early';

/** Every tensor of the file. */
export const EARLY_TENSORS: readonly string[] = [
  `${EARLY_CLASSIFIER}.weight`,
  `${EARLY_CLASSIFIER}.bias`,
  LAYERS,
  KEEP,
  madeFor(NAME, '')[0],
];

/**
 * When a pair leaves before the last layer (early exit, arXiv 2004.12993, here by rank instead of by confidence): after `layers` layers
 * a linear classifier of the [CLS] row estimates every pair's logit, and only the best go on.
 */
export interface EarlyExitSettings {
  /** 1 to one less than the model has. */
  readonly layers: number;
  /** Share of the pairs of a search that go through all layers, above 0, at most 1. */
  readonly keep: number;
}

/** What the file says. */
export interface EarlyExitFile {
  readonly settings: EarlyExitSettings;
  /** Those of {@link EARLY_CLASSIFIER}. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** The tensors of {@link EARLY_CLASSIFIER}. */
export const classifierTensors = ({ weights, bias }: EarlyClassifier): ReadonlyMap<string, Tensor> =>
  new Map([
    [`${EARLY_CLASSIFIER}.weight`, floats([1, weights.length], ...weights)],
    [`${EARLY_CLASSIFIER}.bias`, floats([1], bias)],
  ]);

const floats = (shape: readonly number[], ...values: number[]): Tensor => ({
  dtype: 'f32',
  shape,
  data: Float32Array.from(values),
});

/** @param weightsHash of the model that the classifier is fitted to */
export function encodeEarlyExit(
  weightsHash: string,
  { layers, keep }: EarlyExitSettings,
  classifier: EarlyClassifier,
): Buffer {
  return encodeWeights(
    new Map([
      ...classifierTensors(classifier),
      [LAYERS, floats([1], layers)],
      [KEEP, floats([1], keep)],
      madeFor(NAME, weightsHash),
    ]),
  );
}

/**
 * @param layers that the model has
 * @returns undefined where the folder has no such file
 * @throws WinnowError WINNOW_MODEL_INVALID for a damaged file, or one that was made for other weights
 */
export function readEarlyExit(
  folder: string,
  weightsHash: string,
  layers: number,
): EarlyExitFile | undefined {
  const path = join(folder, EARLY_EXIT_FILE);
  if (!existsSync(path)) return undefined;
  const tensors = decodeWeights(readFileSync(path), path);
  const invalid = (message: string) =>
    new WinnowError('WINNOW_MODEL_INVALID', message, {
      place: path,
      hint: 'make it again by `winnow model early-exit`, or delete it: the model works without it',
    });
  if (!isMadeFor(NAME, tensors, weightsHash)) throw invalid('the early exit was made for other weights');
  const numberOf = (name: string) => tensors.get(name)?.data[0] ?? Number.NaN;
  const settings = { layers: numberOf(LAYERS), keep: Number(numberOf(KEEP).toFixed(6)) };
  const isLayer = Number.isInteger(settings.layers) && settings.layers >= 1 && settings.layers < layers;
  if (!isLayer || !(settings.keep > 0 && settings.keep <= 1))
    throw invalid('the early exit has layers or a share out of range');
  return { settings, tensors };
}
