/**
 * Winnow as a library.
 *
 * ```ts
 * import { openIndex } from 'winnow';
 *
 * const index = openIndex('my-index', { create: true });
 * await index.add([{ id: '1', contentHash: 'v1', documents: [{ text: 'The sky is blue.' }] }]);
 * const { hits } = index.search('what colour is the sky');
 * await index.close();
 * ```
 */
import type { FastifyInstance } from 'fastify';
import type { SearchEngine } from './query/search-engine.ts';
import type { ServerOptions } from './server/server.ts';

export { contentHash } from './corpus/content-hash.ts';
export { type Corpus, type CorpusItem, type CorpusOptions, openCorpus } from './corpus/open-corpus.ts';
export { type PassageOptions, splitPassages } from './corpus/passages.ts';
export type { CorpusDocument, Metadata, MetadataValue } from './corpus/types.ts';
export { createDocumentEncoder, type DocumentEncoderOptions } from './encoder/document-encoder.ts';
export { type Model, openModel } from './encoder/model-file.ts';
export type { DocumentEncoder, EncoderBackend, SparseVector } from './encoder/types.ts';
export { ERROR_CODES, type ErrorCode, WinnowError } from './errors.ts';
export type { UpsertResult } from './indexer/index-store.ts';
export type { StoredRecord, StoredSource } from './indexer/records.ts';
export { type RepairReport, repairIndex } from './indexer/repair.ts';
export {
  type CompactReport,
  compactIndex,
  type RestoreOptions,
  type RestoreReport,
  restoreSnapshot,
  type SnapshotInfo,
  takeSnapshot,
} from './indexer/snapshot.ts';
export type { DocumentRef, PassageRef } from './indexer/stored-id.ts';
export type { DocumentInput, FilterField, IndexStats, SourceDocument } from './indexer/types.ts';
export { type UpgradeReport, upgradeIndex } from './indexer/upgrade.ts';
export type { TokenExplanation } from './query/explain.ts';
export type { FacetCount, FieldSort } from './query/fields.ts';
export type { Filter } from './query/filter.ts';
export type { QueryIdf } from './query/query-weights.ts';
export { type AddResult, type EngineOptions, openIndex, SearchEngine } from './query/search-engine.ts';
export type {
  ConditionExplanation,
  ExplainedHit,
  Hit,
  Notice,
  ScanOptions,
  SearchMode,
  SearchOptions,
  SearchResult,
} from './query/search-types.ts';
export type { Snippet, SnippetPart } from './query/snippet.ts';
export type { ServerOptions } from './server/server.ts';

/**
 * The HTTP API over an open index, not yet listening: `(await createServer(index)).listen({ port: 7700 })`. Fastify is loaded
 * with the first call, since most programs that search have no server.
 */
export async function createServer(
  engine: SearchEngine,
  options: ServerOptions = {},
): Promise<FastifyInstance> {
  const server = await import('./server/server.ts');
  return server.createServer(engine, options);
}
