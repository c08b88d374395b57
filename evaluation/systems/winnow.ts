import { basename } from 'node:path';
import { defined } from '../../defined.ts';
import type { EncoderBackend } from '../../encoder/types.ts';
import { WinnowError } from '../../errors.ts';
import type { PartName } from '../../indexer/format/parts.ts';
import { MODES, SEARCH_OPTIONS, type SearchMode } from '../../query/request.ts';
import { BM25_B, BM25_K1 } from '../../query/retrieve/bm25.ts';
import type { EvaluationDataset } from '../dataset.ts';
import type { SystemSpec } from '../grid.ts';
import { type EvaluatedSystem, flops, type SystemFactory, type SystemFacts } from '../system.ts';
import { explanationLine } from './explanation-line.ts';
import { type EvalIndex, IndexCache } from './index-cache.ts';
import { checkedSettings, type SystemSettings } from './settings.ts';

export interface EvalSystemOptions {
  /** Model, arithmetic and threads of systems that do not name their own. */
  readonly model?: string;
  readonly backend?: EncoderBackend;
  readonly threads?: number;
  /** Folder that keeps the indexes of evaluated sets, so that a second run encodes nothing. */
  readonly cache: string;
  /** Discard the kept indexes and encode again, once per run. */
  readonly rebuild: boolean;
  /** Folder that a system's `model` may be relative to: that of the config. */
  readonly folder?: string;
}

/**
 * Winnow's own systems, over one kept index per data set and model. Documents are cut off at the encoder's window and not
 * split into passages, as in the published BEIR figures.
 *
 * @returns makes the factory of a system of a config; it throws WINNOW_BAD_ARGUMENT for an unknown kind or setting
 */
export function ownSystems(options: EvalSystemOptions): (spec: SystemSpec) => SystemFactory {
  const cache = new IndexCache(options);
  return (spec) => {
    const mode = modeOf(spec);
    const settings = checkedSettings(spec, mode, options.folder);
    const { model, backend, terms, reranker, earlyExit, rerank, ...rest } = settings;
    const { fusion, sparseWeight, scan, alpha, idf, rerankDepth } = rest;
    const search = defined({ fusion, sparseWeight, scan, alpha, idf, rerankDepth });
    const plain = rerank === false ? { ...search, rerank } : search;
    return {
      name: spec.name,
      async open(dataset, onProgress) {
        const opened = await cache.open(
          dataset,
          { lexicalOnly: mode === 'bm25', ...defined({ model, backend, terms, reranker, earlyExit }) },
          (done) => onProgress?.({ step: 'encode', done: Math.round(done * 100), total: 100 }),
        );
        const { index } = opened;
        return {
          name: spec.name,
          search: (query, k) =>
            rerank
              ? index.rankReranked(query.text, mode, k, { ...search, rerank })
              : index.rank(query.text, mode, k, plain),
          explain: (query, id) => explanationLine(index, mode, query.text, id, defined({ idf })),
          describe: () => facts(opened, dataset, mode, settings),
          close: () => index.close(),
        } satisfies EvaluatedSystem;
      },
    };
  };
}

function modeOf({ kind, name }: SystemSpec): SearchMode {
  const mode = MODES.find((known) => known === kind);
  if (mode !== undefined) return mode;
  throw new WinnowError('WINNOW_BAD_ARGUMENT', `unknown kind "${kind}"`, {
    place: `system ${name}`,
    hint: `the kinds are ${MODES.join(', ')} and run`,
  });
}

/** Parts of the index that a search in each mode reads. The stored texts are the same for all and left out. */
const SPARSE_PARTS: readonly PartName[] = ['impacts', 'maxima', 'terms', 'forward', 'dense'];
const WORD_PARTS: readonly PartName[] = ['lexical', 'words'];
const PARTS: Readonly<Record<SearchMode, readonly PartName[]>> = {
  sparse: ['documents', ...SPARSE_PARTS],
  bm25: ['documents', ...WORD_PARTS],
  hybrid: ['documents', ...SPARSE_PARTS, ...WORD_PARTS],
};

function facts(
  { index, build }: EvalIndex,
  dataset: EvaluationDataset,
  mode: SearchMode,
  settings: SystemSettings,
): SystemFacts {
  const stats = index.stats();
  const indexBytes = PARTS[mode].reduce((sum, part) => sum + (stats.bytes[part] ?? 0), 0);
  const { documents } = stats;
  const common: SystemFacts = { documents, indexBytes, memoryBytes: process.memoryUsage().rss };
  const { rerank, rerankDepth, reranker, earlyExit } = settings;
  const reranking = rerank
    ? defined({ rerank, rerankDepth, earlyExit, reranker: reranker && basename(reranker) })
    : {};
  if (mode === 'bm25') return { ...common, settings: { k1: BM25_K1, b: BM25_B, ...reranking } };
  const queries = dataset.queries.map(({ text }) => index.queryTerms(text));
  const { terms, fusion = SEARCH_OPTIONS.fusion.default, sparseWeight, scan, alpha, idf } = settings;
  return {
    ...common,
    termsPerDocument: stats.postings / documents,
    termsPerQuery:
      queries.reduce((sum, { termIds }) => sum + termIds.length, 0) / Math.max(1, queries.length),
    flops: flops(queries, documents),
    model: stats.model,
    modelHash: stats.settings.modelHash,
    ...defined({ encodeDocsPerSecond: build?.encodeDocsPerSecond, buildSeconds: build?.buildSeconds }),
    settings: {
      backend: build?.backend ?? 'unknown',
      ...defined({ terms, scan, alpha, idf, sparseWeight, fusion: mode === 'hybrid' ? fusion : undefined }),
      ...reranking,
    },
  };
}
