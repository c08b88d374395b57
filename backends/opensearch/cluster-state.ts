import { WinnowError } from '../../errors.ts';
import type { BackendHealth, BackendStats } from '../../query/backend.ts';
import type { ClusterIndex } from './cluster-index.ts';
import { FIELDS } from './mapping.ts';

/** Milliseconds after which a cluster that says nothing counts as ill. */
const HEALTH_MS = 5000;
/** Whoever asks for the health asks again; one repetition asks another node. */
const HEALTH_RETRIES = 1;

interface ShardStats {
  readonly routing: { readonly primary: boolean };
  readonly seq_no?: { readonly max_seq_no: number };
  readonly docs: { readonly count: number };
}

/**
 * Documents, and the number of the newest commit: the sum of the sequence numbers of the primary shards, which grows with each change,
 * whichever process makes it.
 *
 * @throws WinnowError WINNOW_UNHEALTHY when a shard has no copy that answers
 */
export async function clusterHealth(index: ClusterIndex): Promise<Omit<BackendHealth, 'model'>> {
  const { cluster, name } = index;
  try {
    const { body } = await cluster.request<{ status: string; timed_out: boolean }>({
      method: 'GET',
      path: `/_cluster/health/${name}`,
      query: { timeout: '1s' },
      accept: [408],
      timeoutMs: HEALTH_MS,
      retries: HEALTH_RETRIES,
    });
    if (body.status === 'red') throw unhealthy(index, 'a shard of the index has no copy that answers');
    return await documentsOf(index);
  } catch (error) {
    if (error instanceof WinnowError && error.code === 'WINNOW_CLUSTER')
      throw unhealthy(index, error.message, error);
    throw error;
  }
}

async function documentsOf({
  cluster,
  name,
}: ClusterIndex): Promise<Pick<BackendHealth, 'documents' | 'generation'>> {
  const { body } = await cluster.request<{
    indices: Record<string, { shards: Record<string, readonly ShardStats[]> }>;
  }>({
    method: 'GET',
    path: `/${name}/_stats/docs`,
    query: { level: 'shards' },
    timeoutMs: HEALTH_MS,
    retries: HEALTH_RETRIES,
  });
  const primaries = Object.values(body.indices)
    .flatMap(({ shards }) => Object.values(shards).flat())
    .filter(({ routing }) => routing.primary);
  return {
    documents: primaries.reduce((sum, { docs }) => sum + docs.count, 0),
    generation: primaries.reduce((sum, { seq_no }) => sum + (seq_no ? seq_no.max_seq_no + 1 : 0), 0),
  };
}

export async function clusterStats(index: ClusterIndex): Promise<Omit<BackendStats, 'model'>> {
  const [health, sources] = await Promise.all([
    clusterHealth(index),
    index.count({ term: { [FIELDS.lead]: true } }),
  ]);
  return { ...health, sources };
}

const unhealthy = (index: ClusterIndex, message: string, cause?: unknown): WinnowError =>
  new WinnowError('WINNOW_UNHEALTHY', message, {
    place: index.path,
    hint: 'look at GET /_cluster/health and GET /_cluster/allocation/explain',
    cause,
  });
