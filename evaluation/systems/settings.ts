import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { EncoderBackend } from '../../encoder/types.ts';
import { WinnowError } from '../../errors.ts';
import { check, type Schema } from '../../query/check-value.ts';
import { OPEN_OPTIONS } from '../../query/open-options.ts';
import { SEARCH_OPTIONS, type SearchMode, type SearchOptions } from '../../query/request.ts';
import type { SystemSpec } from '../grid.ts';

/** What a config may say about a system; checked. */
export interface SystemSettings
  extends Pick<
    SearchOptions,
    'fusion' | 'sparseWeight' | 'scan' | 'alpha' | 'idf' | 'rerank' | 'rerankDepth'
  > {
  /** Bundled model name or model folder. */
  readonly model?: string;
  readonly backend?: EncoderBackend;
  /** Heaviest terms kept per document. */
  readonly terms?: number;
  /** Bundled reranker or folder of a cross-encoder. */
  readonly reranker?: string;
  /** Whether documents may leave the reranker after its first layers; default true. */
  readonly earlyExit?: boolean;
}

const { fusion, sparseWeight, scan, alpha, idf, rerank, rerankDepth } = SEARCH_OPTIONS;
const RERANKING = {
  rerank,
  rerankDepth,
  reranker: OPEN_OPTIONS.reranker,
  earlyExit: OPEN_OPTIONS.earlyExit,
} as const;
const SPARSE = {
  model: OPEN_OPTIONS.model,
  backend: OPEN_OPTIONS.backend,
  terms: { type: 'integer', minimum: 1 },
  scan,
  alpha,
  idf,
  ...RERANKING,
} as const;

const SETTINGS: Readonly<Record<SearchMode, Readonly<Record<string, Schema>>>> = {
  sparse: SPARSE,
  bm25: RERANKING,
  hybrid: { ...SPARSE, fusion, sparseWeight },
};

/**
 * @param folder that a `model` may be relative to
 * @throws WinnowError WINNOW_BAD_ARGUMENT naming system and setting
 */
export function checkedSettings(
  { name, settings }: SystemSpec,
  mode: SearchMode,
  folder: string | undefined,
): SystemSettings {
  try {
    check(settings, { type: 'object', properties: SETTINGS[mode] }, '');
  } catch (error) {
    const { message, place, hint } = error as WinnowError;
    throw new WinnowError('WINNOW_BAD_ARGUMENT', message, {
      place: `system ${name}: ${place}`,
      ...(hint === undefined ? {} : { hint }),
    });
  }
  const checked = settings as SystemSettings;
  const { model, reranker } = checked;
  return {
    ...checked,
    ...(model === undefined ? {} : { model: modelPath(model, folder) }),
    ...(reranker === undefined ? {} : { reranker: modelPath(reranker, folder) }),
  };
}

function modelPath(model: string, folder = '.'): string {
  const beside = resolve(folder, model);
  return existsSync(join(beside, 'config.json')) ? beside : model;
}
