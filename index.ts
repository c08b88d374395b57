/**
 * Winnow as a library.
 *
 * ```ts
 * import { openIndex } from 'winnow';
 *
 * const index = openIndex('my-index', { create: true });
 * await index.add([{ id: '1', title: 'Sky', text: 'The sky is blue.', metadata: { year: 2026 } }]);
 * const { hits } = index.search('what colour is the sky');
 * await index.close();
 * ```
 */
import type { FastifyInstance } from 'fastify';
import { SearchIndex } from './app/search-index.ts';
import type { SearchService } from './app/service/search-service.ts';
import type { SearchBackend } from './query/backend.ts';
import type { ServerOptions } from './server/server.ts';

export { type IngestOptions, type IngestReport, ingest } from './app/ingest.ts';
export {
  type AddOptions,
  type AddReport,
  type NewDocument,
  openIndex,
  SearchIndex,
} from './app/search-index.ts';
export { SearchService } from './app/service/search-service.ts';
export type {
  CollectionInfo,
  CollectionSettings,
  CollectionStats,
  NewCollection,
  Task,
  TaskRequest,
} from './app/service/types.ts';
export { type AliasMove, type AliasMoved, moveAlias } from './backends/opensearch/alias.ts';
export { type OpenSearchOptions, openOpenSearch } from './backends/opensearch/open-opensearch.ts';
export { OpenSearchBackend } from './backends/opensearch/opensearch-backend.ts';
export { contentHash } from './corpus/content-hash.ts';
export { type Corpus, type CorpusItem, type CorpusOptions, openCorpus } from './corpus/open-corpus.ts';
export { type PassageOptions, splitPassages } from './corpus/passages.ts';
export type { CorpusDocument, Metadata, MetadataValue } from './corpus/types.ts';
export { createDocumentEncoder, type DocumentEncoderOptions } from './encoder/document-encoder.ts';
export { type Model, openModel } from './encoder/model.ts';
export type { DocumentEncoder, EncoderBackend, SparseVector } from './encoder/types.ts';
export { ERROR_CODES, type ErrorCode, WinnowError } from './errors.ts';
export { type CompactReport, compactIndex } from './indexer/admin/compact.ts';
export { type RepairReport, repairIndex } from './indexer/admin/repair.ts';
export { type RestoreOptions, type RestoreReport, restoreSnapshot } from './indexer/admin/restore.ts';
export type { SnapshotInfo } from './indexer/admin/snapshot.ts';
export { type UpgradeReport, upgradeIndex } from './indexer/admin/upgrade.ts';
export type { DocumentRef, PassageRef } from './indexer/format/stored-id.ts';
export type { StoredRecord, StoredSource } from './indexer/store/records.ts';
export type { DocumentInput, FilterField, IndexStats, SourceDocument } from './indexer/types.ts';
export type {
  Awaitable,
  BackendCapabilities,
  BackendHealth,
  BackendStats,
  SearchBackend,
  SearchSize,
  TextWindow,
  WriteBatch,
  WriteReport,
} from './query/backend.ts';
export { EmbeddedBackend, type EmbeddedStats } from './query/embedded/embedded-backend.ts';
export { type OpenOptions, openEmbedded } from './query/embedded/open-embedded.ts';
export type { FacetCount } from './query/filter/fields.ts';
export type { Snippet, SnippetPart } from './query/hydrate/snippet.ts';
export type { TokenExplanation } from './query/hydrate/token-explanation.ts';
export type {
  ExplainOptions,
  ExplainRequest,
  FieldCondition,
  FieldSort,
  Filter,
  ScanOptions,
  SearchMode,
  SearchOptions,
  SearchRequest,
} from './query/request.ts';
export type {
  ConditionExplanation,
  Explanation,
  Hit,
  Notice,
  SearchResponse,
  SearchTimings,
} from './query/response.ts';
export type { QueryIdf } from './query/weights/query-weights.ts';
export type { ServerOptions } from './server/server.ts';

/**
 * The HTTP API over an open index, or over a service with several collections, not yet listening: `(await createServer(index)).listen({ port: 7700 })`. Fastify is loaded
 * with the first call, since most programs that search have no server.
 */
export async function createServer(
  target: SearchIndex<SearchBackend> | SearchService,
  options: ServerOptions = {},
): Promise<FastifyInstance> {
  const server = await import('./server/server.ts');
  return server.createServer(target instanceof SearchIndex ? target.backend : target, options);
}
