import { Cluster, type ClusterOptions } from '../../backends/opensearch/cluster.ts';
import type { ClusterHit } from '../../backends/opensearch/cluster-index.ts';
import { FIELDS, termName } from '../../backends/opensearch/mapping.ts';
import type { OpenSearchBackend } from '../../backends/opensearch/opensearch-backend.ts';
import { requirePlugin } from '../../backends/opensearch/server-features.ts';
import { openCorpus } from '../../corpus/open-corpus.ts';
import { openModel } from '../../encoder/model.ts';
import { WinnowError } from '../../errors.ts';
import { parseStoredId } from '../../indexer/format/stored-id.ts';
import type { EvaluationDataset } from '../dataset.ts';
import type { ScoredDocument } from '../metrics.ts';
import type { EvaluatedSystem } from '../system.ts';

/** Documents of a bulk request. */
const BATCH = 500;

/**
 * BM25 as the cluster has it: title and text in one field with its English analyzer (stop words, Porter's stemmer), k1 1.2, b .75.
 *
 * @param index of the cluster; made anew
 */
export async function nativeBm25(
  name: string,
  index: string,
  dataset: EvaluationDataset,
  options: ClusterOptions,
  onProgress: (done: number) => void,
): Promise<EvaluatedSystem> {
  const cluster = await Cluster.connect(options);
  const documents = await loadPlain(cluster, index, dataset, onProgress);
  return {
    name,
    search: async ({ text }, k) =>
      (await search(cluster, index, { match: { text } }, k)).map(({ _id, _score }) => ({
        id: _id,
        score: _score!,
      })),
    describe: () => ({
      documents,
      settings: { engine: 'opensearch', analyzer: 'english', k1: 1.2, b: 0.75 },
    }),
    close: () => cluster.close(),
  };
}

/** The cluster's `neural_sparse` query with the weights of Winnow's queries. @throws WinnowError WINNOW_UNSUPPORTED without its plugin */
export async function neuralSparse(
  name: string,
  remote: OpenSearchBackend,
  options: ClusterOptions,
): Promise<EvaluatedSystem> {
  const cluster = await Cluster.connect(options);
  const close = async (): Promise<void> => {
    await Promise.all([cluster.close(), remote.close()]);
  };
  try {
    await requirePlugin(cluster, 'neural-search', 'the query neural_sparse');
  } catch (error) {
    await close();
    throw error;
  }
  const { tokenizer } = openModel(remote.settings.modelName).query;
  return {
    name,
    async search({ text }, k) {
      const [encoded] = await remote.encode([text], 'query');
      const tokens = Object.entries(encoded!.terms).map(([token, weight]) => [
        termName(tokenizer.idOf(token)!),
        weight,
      ]);
      if (tokens.length === 0) return [];
      const query = { neural_sparse: { [FIELDS.sparse]: { query_tokens: Object.fromEntries(tokens) } } };
      const hits = await search(cluster, remote.indexName, query, k, [FIELDS.storedId]);
      const { impactScale } = remote.settings;
      return hits.map(
        ({ _score, fields }): ScoredDocument => ({
          id: parseStoredId(String(fields![FIELDS.storedId]![0])).id,
          score: _score! * impactScale,
        }),
      );
    },
    describe: async () => ({
      documents: (await remote.stats()).documents,
      settings: { engine: 'opensearch', query: 'neural_sparse' },
    }),
    close,
  };
}

async function search(
  cluster: Cluster,
  index: string,
  query: object,
  size: number,
  docvalue_fields: readonly string[] = [],
): Promise<readonly ClusterHit[]> {
  const { body } = await cluster.request<{ hits: { hits: readonly ClusterHit[] } }>({
    method: 'POST',
    path: `/${index}/_search`,
    query: { allow_partial_search_results: false },
    body: { query, size, _source: false, track_total_hits: false, docvalue_fields },
  });
  return body.hits.hits;
}

/** @returns number of documents */
async function loadPlain(
  cluster: Cluster,
  index: string,
  { corpusPath }: EvaluationDataset,
  onProgress: (done: number) => void,
): Promise<number> {
  const properties = { text: { type: 'text', analyzer: 'english' } };
  const body = { settings: { number_of_replicas: 0 }, mappings: { dynamic: false, properties } };
  // Documents that are replaced count in the statistics of BM25 until they are merged away: an index of an earlier run goes.
  await cluster.request({ method: 'DELETE', path: `/${index}`, accept: [404] });
  await cluster.request({ method: 'PUT', path: `/${index}`, body });
  let lines: string[] = [];
  let done = 0;
  const flush = async (): Promise<void> => {
    const { body } = await cluster.request<{ errors: boolean }>({
      method: 'POST',
      path: `/${index}/_bulk`,
      query: { refresh: true },
      lines: lines.join(''),
    });
    if (body.errors)
      throw new WinnowError('WINNOW_CLUSTER', 'documents were refused', {
        place: `${cluster.name}/${index}`,
      });
    done += lines.length;
    onProgress(done);
    lines = [];
  };
  for await (const item of await openCorpus(corpusPath)) {
    // Those without text are left out by all systems.
    if ('error' in item) continue;
    const { id, title, text } = item.document;
    lines.push(
      `${JSON.stringify({ index: { _id: id } })}\n${JSON.stringify({ text: `${title} ${text}` })}\n`,
    );
    if (lines.length >= BATCH) await flush();
  }
  if (lines.length > 0) await flush();
  return done;
}
