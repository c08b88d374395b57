import type { FilterField } from '../../indexer/types.ts';
import type { SearchMode, SearchOptions } from '../../query/request.ts';
import type { StageName } from '../../query/rerank/stage.ts';

/** A query, or a vector, or both. */
export type SearchQuery = SearchOptions & { readonly query?: string };

/** What can be changed of a collection after its creation. */
export interface CollectionSettings {
  /** For people. At most 1,000 characters. */
  readonly description?: string;
  /** Mode of searches that name none. Default: sparse, bm25 without a model. */
  readonly defaultMode?: SearchMode;
}

/** What holds a collection's documents instead of a file of the data folder. */
export interface CollectionEngine {
  readonly kind: 'opensearch';
  /** Name of an index of the cluster, or an alias of one; made where there is none. */
  readonly index: string;
}

/** Fixed when the index is made. */
export interface NewCollectionEngine extends CollectionEngine {
  readonly shards?: number;
  readonly replicas?: number;
}

export interface NewCollection extends CollectionSettings {
  /** 1..63 of a-z, 0-9, _ and -; not the name of a collection or alias. */
  readonly name: string;
  /** Metadata fields that filters may name. Default none. */
  readonly fields?: readonly FilterField[];
  /** Default: the service's. null: words alone. */
  readonly model?: string | null;
  /** Keep vectors of documents, where the model makes them. Default true. */
  readonly vectors?: boolean;
  /** Default: a file of the data folder. */
  readonly engine?: NewCollectionEngine;
}

export interface CollectionInfo {
  readonly name: string;
  /** Passages count one each. */
  readonly documents: number;
  readonly sources: number;
  /** Of the index file; 0 where a cluster holds the documents. */
  readonly bytes: number;
  /** null: words alone. */
  readonly model: string | null;
  readonly vectors: boolean;
  readonly fields: readonly FilterField[];
  readonly settings: CollectionSettings;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly aliases: readonly string[];
  /** Absent: a file of the data folder. */
  readonly engine?: CollectionEngine;
  /** Why its index cannot be used; the figures are 0 then. */
  readonly error?: Failure;
}

export interface CollectionStats {
  readonly name: string;
  readonly documents: number;
  readonly sources: number;
  readonly deleted: number;
  readonly generation: number;
  readonly segments: number;
  readonly merging: number;
  readonly postings: number;
  readonly withVectors: number;
  /** Of the index file. */
  readonly bytes: number;
  /** Bytes by part of the index. */
  readonly parts: Readonly<Record<string, number>>;
  readonly stages: readonly StageName[];
  readonly modes: readonly SearchMode[];
}

/** `upsert` replaces a document with the same id, `insert` refuses it. */
export const WRITE_MODES = ['upsert', 'insert'] as const;
export type WriteMode = (typeof WRITE_MODES)[number];

/** An error inside an answer. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly place?: string;
  readonly hint?: string;
}

/** What became of one row. */
export interface WriteResult {
  /** Of the body, or the place in the list, from 1. */
  readonly line: number;
  readonly id?: string;
  readonly status: 'added' | 'replaced' | 'unchanged' | 'superseded' | 'failed';
  readonly error?: Failure;
}

export interface WriteSummary {
  readonly added: number;
  readonly replaced: number;
  readonly unchanged: number;
  readonly superseded: number;
  readonly failed: number;
  readonly mended: number;
}

export const TASK_TYPES = ['index-file', 'index-folder', 'evaluate', 'snapshot', 'compact'] as const;
export type TaskType = (typeof TASK_TYPES)[number];

export const TASK_STATUSES = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];

/** What a task is asked to do; which properties a type takes, the service checks. */
export interface TaskRequest {
  readonly type: TaskType;
  /** Of `index-file`, `index-folder` and `evaluate`: relative to the folder of imports. */
  readonly path?: string;
  /** Of indexing: delete documents that the input no longer has. Default false. */
  readonly deleteMissing?: boolean;
  /** Of indexing: cut long texts into passages. Default true. */
  readonly passages?: boolean;
  /** Of `evaluate`: BEIR split. Default test. */
  readonly split?: string;
  readonly mode?: SearchMode;
  readonly rerank?: Exclude<SearchOptions['rerank'], undefined>;
  /** Of `evaluate`: hits per query, 1..1,000. Default 100. */
  readonly depth?: number;
}

export interface TaskProgress {
  readonly done: number;
  /** Absent where it is not known. */
  readonly total?: number;
  /** What is counted. */
  readonly unit: string;
}

export interface Task {
  readonly id: string;
  readonly type: TaskType;
  /** Name that the request used. */
  readonly collection: string;
  readonly status: TaskStatus;
  readonly request: TaskRequest;
  readonly progress: TaskProgress;
  /** Absent where it is not known. */
  readonly etaSeconds?: number;
  /** Times are ISO 8601, UTC. */
  readonly createdAt: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  /** How often it was started. */
  readonly attempts: number;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: Failure;
}
