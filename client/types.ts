import type { Failure, WriteMode, WriteResult, WriteSummary } from '../app/service/types.ts';
import type { Metadata, MetadataValue } from '../corpus/types.ts';
import type { EncodeKind } from '../query/backend.ts';
import type { ExplainOptions, Filter } from '../query/request.ts';
import type { SearchResponse } from '../query/response.ts';
import type { CallOptions } from './transport.ts';

/** A document to add. Other properties are metadata, as those of `metadata` are. */
export interface NewDocument {
  /** 1..512 bytes of UTF-8. */
  readonly id: string;
  readonly text: string;
  readonly title?: string;
  readonly metadata?: Metadata;
  readonly [name: string]: MetadataValue | undefined;
}

/** A document as an export has it; it can be added again. */
export interface ExportedDocument {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly metadata: Metadata;
}

export interface AddOptions extends CallOptions {
  /** Default `upsert`. */
  readonly mode?: WriteMode;
  /** Cut long texts into passages. Default true. */
  readonly passages?: boolean;
  /** Which rows get a result; the summary always comes. Default `all`. */
  readonly results?: 'all' | 'errors' | 'none';
}

export interface UploadOptions extends AddOptions {
  /** Documents per request, 1..; default 1,000. A request also ends at a million characters. */
  readonly batchDocuments?: number;
}

/** Bytes, or text, which is sent as UTF-8. */
export type FileContent = Blob | Uint8Array<ArrayBuffer> | string;

export type FileOptions = Omit<AddOptions, 'mode'>;

export interface AddAnswer {
  readonly results: readonly WriteResult[];
  readonly summary: WriteSummary;
}

/** Documents by id, or all that match a filter. */
export type DeleteRequest = { readonly ids: readonly string[] } | { readonly filter: Filter };

export interface PassageOptions extends CallOptions {
  /** Only this passage of the document, from 0. */
  readonly passage?: number;
}

/** Which document's score for which query is to be explained. */
export interface ExplainQuery extends ExplainOptions {
  readonly query: string;
  readonly id: string;
  readonly passage?: number;
}

export interface EncodeOptions extends CallOptions {
  /** Default `document`. */
  readonly kind?: EncodeKind;
}

/** The answer of one of several searches, or its error alone. */
export type MultiSearchResult = SearchResponse | { readonly error: Failure };

export interface AliasInfo {
  readonly alias: string;
  /** Collection that it stands for. */
  readonly collection: string;
}
