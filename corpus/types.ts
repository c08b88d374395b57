/** A JSON value: what metadata may hold. */
export type MetadataValue =
  | string
  | number
  | boolean
  | null
  | readonly MetadataValue[]
  | { readonly [name: string]: MetadataValue };

/** Everything is stored and returned with a hit; filters take strings, numbers, booleans and lists of them. */
export type Metadata = Readonly<Record<string, MetadataValue>>;

/** How deep lists and objects of metadata may nest; the metadata itself counts as the first. */
export const MAX_METADATA_DEPTH = 64;

/** Longest id of a document, in bytes of UTF-8. LMDB keys hold at most 1,978; shorter ids fit into requests and log lines. */
export const MAX_ID_BYTES = 512;

/** One unit of retrieval: a whole short text, or a passage of a longer one. */
export interface CorpusDocument {
  /** The user's id, unique in the index, 1..512 bytes of UTF-8 without NUL. A passage has the id of its source. */
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly metadata: Metadata;
  /** Ordinal of a passage in its source, from 0; absent for a whole document. */
  readonly passage?: number;
}

/** Where a row came from, for error messages: `line` counts from 1. */
export interface SourceLocation {
  readonly file: string;
  readonly line: number;
}

/** What a reader assumed or left out without losing a document: worth a line of output, but not an error. */
export interface CorpusNotice {
  /** `file:line` or a path. */
  readonly place: string;
  readonly message: string;
}

/**
 * Which documents of an earlier run may be behind something unreadable: one id, all ids that start with a prefix, or
 * any (`all`). Absent where there can be none.
 */
export type UnreadScope = { readonly id: string } | { readonly prefix: string } | { readonly all: true };
