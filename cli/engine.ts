import { type Command, Option } from 'commander';
import { openIndex, SearchIndex } from '../app/search-index.ts';
import type { ClusterOptions } from '../backends/opensearch/cluster.ts';
import type { ShardOptions } from '../backends/opensearch/mapping.ts';
import type { OpenSearchOptions } from '../backends/opensearch/open-opensearch.ts';
import { defined } from '../defined.ts';
import { WinnowError } from '../errors.ts';
import type { SearchBackend } from '../query/backend.ts';
import type { OpenOptions } from '../query/embedded/open-embedded.ts';
import { repeated, share, wholeNumber } from './options.ts';

export const ENGINES = ['embedded', 'opensearch'] as const;

/** Where an index is. Secrets come from the environment only, because lists of processes show options. */
export interface EngineCliOptions {
  readonly index: string;
  readonly engine: (typeof ENGINES)[number];
  readonly url?: readonly string[];
  readonly caFile?: string;
  readonly shards?: number;
  readonly replicas?: number;
  readonly approximate?: boolean;
  readonly twoPhase?: number;
}

/** How an index of a cluster is opened. */
export type RemoteOptions = ClusterOptions & ShardOptions & Pick<OpenSearchOptions, 'twoPhase'>;

/** For commands that search. */
export function addTwoPhaseOption(command: Command): Command {
  return command.option(
    '--two-phase <share>',
    'in a cluster, tokens below this share of the heaviest only score what the others find (default: 0, exact)',
    share,
  );
}

/** Adds the options that say which engine holds the index; `--backend` names the arithmetic of the encoder. */
export function addEngineOptions(command: Command): Command {
  return addClusterOptions(
    command.addOption(
      new Option('--engine <name>', 'what holds the index: a folder, or a cluster (--url, with --index NAME)')
        .choices(ENGINES)
        .default('embedded'),
    ),
  );
}

/** Adds the options that say how a cluster is reached. */
export function addClusterOptions(command: Command): Command {
  return command
    .option(
      '--url <url>',
      'node of the cluster; repeat for more. WINNOW_OPENSEARCH_USER and _PASSWORD, or _API_KEY, are sent to it',
      repeated,
    )
    .option('--ca-file <pem>', "authority that signed the cluster's certificate");
}

/** For commands that make indexes. */
export function addShardOptions(command: Command): Command {
  return command
    .option('--shards <n>', 'primary shards of a new index of a cluster (default: 1)', wholeNumber(1, 1024))
    .option('--replicas <n>', 'copies of each shard (default: 1)', wholeNumber(0, 16))
    .option(
      '--approximate',
      'also find by sparse_vector, which needs OpenSearch 3.3 with its plugin neural-search',
    );
}

/** Whether the index is in a cluster. @throws WinnowError WINNOW_BAD_ARGUMENT for options of the other engine */
export function isRemote(options: EngineCliOptions): boolean {
  const { engine, url, caFile, shards, replicas, approximate, twoPhase } = options;
  if (engine === 'opensearch') return true;
  const remote = { url, 'ca-file': caFile, shards, replicas, approximate, 'two-phase': twoPhase };
  const given = Object.entries(remote).find(([, value]) => value !== undefined);
  if (given)
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'is for an index of a cluster', {
      place: `--${given[0]}`,
      hint: 'add --engine opensearch',
    });
  return false;
}

/** @throws WinnowError of `openIndex` or `openOpenSearch` */
export async function openEngine(
  options: EngineCliOptions,
  opening: OpenOptions,
): Promise<SearchIndex<SearchBackend>> {
  if (!isRemote(options)) return openIndex(options.index, opening);
  // Most of a short run is loading.
  const { openOpenSearch } = await import('../backends/opensearch/open-opensearch.ts');
  const backend = await openOpenSearch(options.index, { ...opening, ...clusterOptions(options) });
  return new SearchIndex<SearchBackend>(backend);
}

/** How the cluster is reached. @throws WinnowError WINNOW_BAD_ARGUMENT without an address */
export function clusterOptions({
  url,
  caFile,
  shards,
  replicas,
  approximate,
  twoPhase,
}: Omit<EngineCliOptions, 'index' | 'engine'>): RemoteOptions {
  if (!url)
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'a cluster needs an address', {
      place: '--url',
      hint: 'give one such as https://localhost:9200',
    });
  const {
    WINNOW_OPENSEARCH_USER: username,
    WINNOW_OPENSEARCH_PASSWORD: password,
    WINNOW_OPENSEARCH_API_KEY: apiKey,
  } = process.env;
  return {
    url,
    ...defined({ caFile, shards, replicas, approximate, twoPhase, username, password, apiKey }),
  };
}
