/** Metadata values that can be stored with a document and, where declared, filtered on. */
export type MetadataValue = string | number | boolean | readonly string[] | readonly number[];
export type Metadata = Readonly<Record<string, MetadataValue>>;

/** One unit of retrieval: a whole short text, or a passage of a longer one. */
export interface CorpusDocument {
  /** The user's id, unique in the index, 1..512 UTF-8 bytes. A passage's id is `${parentId}#${ordinal}`. */
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly metadata: Metadata;
  /** Id of the document that this passage was cut from; absent for a whole document. */
  readonly parentId?: string;
}

/** Where a row came from, for error messages: `line` counts from 1. */
export interface SourceLocation {
  readonly file: string;
  readonly line: number;
}

/** What a reader assumed or left out without losing a document: worth a line to the user, no error. */
export interface CorpusNotice {
  /** `file:line` or a path. */
  readonly place: string;
  readonly message: string;
}

/**
 * Which documents of an earlier run may stand behind something unreadable: one id, all ids that start with a prefix, or
 * any (`all`). Absent where there can be none.
 */
export type UnreadScope = { readonly id: string } | { readonly prefix: string } | { readonly all: true };
