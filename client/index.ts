export type {
  CollectionInfo,
  CollectionSettings,
  CollectionStats,
  Failure,
  NewCollection,
  SearchQuery,
  Task,
  TaskProgress,
  TaskRequest,
  TaskStatus,
  TaskType,
  WriteMode,
  WriteResult,
  WriteSummary,
} from '../app/service/types.ts';
export type { Metadata, MetadataValue } from '../corpus/types.ts';
export type { StoredRecord, StoredSource } from '../indexer/store/records.ts';
export type { FilterField } from '../indexer/types.ts';
export type { EncodedText, EncodeKind } from '../query/backend.ts';
export type { Filter, SearchMode, SearchOptions } from '../query/request.ts';
export type { Explanation, Hit, Notice, SearchResponse, SearchTimings } from '../query/response.ts';
export { WinnowClient } from './client.ts';
export type { CollectionClient } from './collection.ts';
export { type ClientErrorCode, WinnowClientError } from './errors.ts';
export type { TasksClient, WaitOptions } from './tasks.ts';
export type { CallOptions, ClientOptions } from './transport.ts';
export type {
  AddAnswer,
  AddOptions,
  AliasInfo,
  DeleteRequest,
  EncodeOptions,
  ExplainQuery,
  ExportedDocument,
  FileContent,
  FileOptions,
  MultiSearchResult,
  NewDocument,
  PassageOptions,
  UploadOptions,
} from './types.ts';
export type { Upload } from './upload.ts';
