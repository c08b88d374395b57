import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { migrate } from '../../app/migrate.ts';
import type { ClusterOptions } from '../../backends/opensearch/cluster.ts';
import type { OpenSearchBackend } from '../../backends/opensearch/opensearch-backend.ts';
import { WinnowError } from '../../errors.ts';
import { check } from '../../query/check-value.ts';
import { MODES, SEARCH_OPTIONS, type SearchMode } from '../../query/request.ts';
import type { EvaluationDataset } from '../dataset.ts';
import type { SystemSpec } from '../grid.ts';
import type { EvaluatedSystem, SystemFactory } from '../system.ts';
import { type EvalIndex, IndexCache, type IndexCacheOptions } from './index-cache.ts';

const PREFIX = 'opensearch-';
/** What the cluster does without Winnow: BM25 with its English analyzer, and its query for learned sparse weights. */
const NATIVE_BM25 = `${PREFIX}native-bm25`;
const NEURAL_SPARSE = `${PREFIX}neural-sparse`;

/** Kinds of systems that a cluster answers. */
export const OPENSEARCH_KINDS = [...MODES.map((mode) => `${PREFIX}${mode}`), NATIVE_BM25, NEURAL_SPARSE];

/** What a config may say of one of Winnow's systems on a cluster. */
interface RemoteSettings {
  /** See `OpenSearchOptions.twoPhase`. */
  readonly twoPhase?: number;
  /** false: without the vector stage that sparse searches have by default. */
  readonly rerank?: false;
}

const SETTINGS = {
  twoPhase: { type: 'number', minimum: 0, maximum: 1 },
  rerank: SEARCH_OPTIONS.rerank,
} as const;

/**
 * Systems on an OpenSearch cluster. The kept index of the data set is copied to the cluster, so that both search the same
 * weights; it stays there, and a second run copies only what changed.
 *
 * @param cluster undefined: none was named, and systems of these kinds are refused
 */
export function openSearchSystems(
  options: IndexCacheOptions,
  cluster: ClusterOptions | undefined,
): (spec: SystemSpec) => SystemFactory {
  const cache = new IndexCache(options);
  return (spec) => {
    const { name, kind } = spec;
    if (!cluster)
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `the kind "${kind}" needs a cluster`, {
        place: `system ${name}`,
        hint: 'name one with --url',
      });
    const settings = checkedSettings(spec);
    return {
      name,
      async open(dataset, onProgress) {
        const copying = (done: number) => onProgress?.({ step: 'copy', done });
        if (kind === NATIVE_BM25) {
          const { nativeBm25 } = await import('./opensearch-native.ts');
          return nativeBm25(name, indexName('plain', dataset, ''), dataset, cluster, copying);
        }
        const kept = await cache.open(dataset, { lexicalOnly: false }, (done) =>
          onProgress?.({ step: 'encode', done: Math.round(done * 100), total: 100 }),
        );
        const remote = await copied(kept, dataset, { ...cluster, ...settings }, copying);
        if (kind !== NEURAL_SPARSE) return ownSystem(name, kind, remote, settings);
        const { neuralSparse } = await import('./opensearch-native.ts');
        return neuralSparse(name, remote, cluster);
      },
    };
  };
}

function checkedSettings({ name, kind, settings }: SystemSpec): RemoteSettings {
  const properties = kind === NATIVE_BM25 || kind === NEURAL_SPARSE ? {} : SETTINGS;
  check(settings, { type: 'object', properties }, `system ${name}`);
  return settings as RemoteSettings;
}

function ownSystem(
  name: string,
  kind: string,
  remote: OpenSearchBackend,
  { rerank, twoPhase }: RemoteSettings,
): EvaluatedSystem {
  const mode = kind.slice(PREFIX.length) as SearchMode;
  const options = rerank === false ? { rerank } : {};
  return {
    name,
    search: (query, k) => remote.rank(query.text, mode, k, options),
    describe: async () => ({
      documents: (await remote.stats()).documents,
      settings: { engine: 'opensearch', ...(twoPhase === undefined ? {} : { twoPhase }) },
    }),
    close: () => remote.close(),
  };
}

async function copied(
  { index }: EvalIndex,
  dataset: EvaluationDataset,
  cluster: ClusterOptions & RemoteSettings,
  onProgress: (done: number) => void,
): Promise<OpenSearchBackend> {
  // Loaded here: other evaluations do not need the client.
  const { openOpenSearch } = await import('../../backends/opensearch/open-opensearch.ts');
  const { settings } = index.stats();
  try {
    const remote = await openOpenSearch(indexName('eval', dataset, settings.modelHash), {
      ...cluster,
      create: true,
      replicas: 0,
      model: settings.modelName,
      vectors: settings.vectorSize !== undefined,
    });
    await index.raw.reading(({ sources }) =>
      migrate(
        { backend: index, sources },
        { backend: remote, put: (batch) => remote.putEncoded(batch) },
        onProgress,
      ),
    );
    return remote;
  } finally {
    await index.close();
  }
}

/** The same for the same data set and model. */
function indexName(what: string, dataset: EvaluationDataset, modelHash: string): string {
  const identity = `${resolve(dataset.corpusPath)} ${modelHash}`;
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 12);
  return `winnow-${what}-${dataset.name.toLowerCase().replace(/[^a-z0-9-]/g, '-')}-${hash}`;
}
