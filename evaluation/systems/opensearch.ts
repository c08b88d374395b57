import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { migrate } from '../../app/migrate.ts';
import type { ClusterOptions } from '../../backends/opensearch/cluster.ts';
import type { OpenSearchBackend } from '../../backends/opensearch/opensearch-backend.ts';
import { WinnowError } from '../../errors.ts';
import { MODES, type SearchMode } from '../../query/request.ts';
import type { EvaluationDataset } from '../dataset.ts';
import type { SystemSpec } from '../grid.ts';
import type { SystemFactory } from '../system.ts';
import { type EvalIndex, IndexCache, type IndexCacheOptions } from './index-cache.ts';

const PREFIX = 'opensearch-';

/** Kinds of systems that a cluster answers. */
export const OPENSEARCH_KINDS = MODES.map((mode) => `${PREFIX}${mode}`);

/**
 * Winnow's systems on an OpenSearch cluster. The kept index of the data set is copied to the cluster, so that both search the same
 * weights; it stays there, and a second run copies only what changed.
 *
 * @param cluster undefined: none was named, and systems of these kinds are refused
 */
export function openSearchSystems(
  options: IndexCacheOptions,
  cluster: ClusterOptions | undefined,
): (spec: SystemSpec) => SystemFactory {
  const cache = new IndexCache(options);
  return ({ name, kind, settings }) => {
    const mode = kind.slice(PREFIX.length) as SearchMode;
    if (!cluster)
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `the kind "${kind}" needs a cluster`, {
        place: `system ${name}`,
        hint: 'name one with --url',
      });
    const [unknown] = Object.keys(settings);
    if (unknown !== undefined)
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `"${unknown}" is no setting of "${kind}"`, {
        place: `system ${name}`,
        hint: 'leave it out',
      });
    return {
      name,
      async open(dataset, onProgress) {
        const kept = await cache.open(dataset, { lexicalOnly: false }, (done) =>
          onProgress?.({ step: 'encode', done: Math.round(done * 100), total: 100 }),
        );
        const remote = await copied(kept, dataset, cluster, (done) => onProgress?.({ step: 'copy', done }));
        return {
          name,
          search: (query, k) => remote.rank(query.text, mode, k, { rerank: false }),
          describe: async () => ({
            documents: (await remote.stats()).documents,
            settings: { engine: 'opensearch' },
          }),
          close: () => remote.close(),
        };
      },
    };
  };
}

async function copied(
  { index }: EvalIndex,
  dataset: EvaluationDataset,
  cluster: ClusterOptions,
  onProgress: (done: number) => void,
): Promise<OpenSearchBackend> {
  // Loaded here: other evaluations do not need the client.
  const { openOpenSearch } = await import('../../backends/opensearch/open-opensearch.ts');
  const { settings } = index.stats();
  const identity = `${resolve(dataset.corpusPath)} ${settings.modelHash}`;
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 12);
  const name = `winnow-eval-${dataset.name.toLowerCase().replace(/[^a-z0-9-]/g, '-')}-${hash}`;
  try {
    const remote = await openOpenSearch(name, {
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
