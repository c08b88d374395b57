/**
 * Every error that Winnow raises on purpose. A code is public: programs branch on it, docs/errors.md explains it,
 * and it is never reused for something else. `status` is the HTTP status that the server answers with.
 */
export const ERROR_CODES = {
  WINNOW_BAD_ARGUMENT: { status: 400, summary: 'an option or parameter has a value that is not allowed' },
  WINNOW_NOT_FOUND: { status: 404, summary: 'a file, folder, model or document does not exist' },
  WINNOW_BAD_ROW: { status: 400, summary: 'a row, file or document cannot be read or stored' },
  WINNOW_ROW_TOO_LONG: { status: 400, summary: 'a line is longer than the limit' },
  WINNOW_EMPTY_TEXT: { status: 400, summary: 'a document has no text to index' },
  WINNOW_EMPTY_CORPUS: { status: 400, summary: 'no document was found' },
  WINNOW_UNKNOWN_FORMAT: { status: 400, summary: 'the name of the input does not show its format' },
  WINNOW_INDEX_NOT_FOUND: { status: 404, summary: 'the folder holds no index' },
  WINNOW_INDEX_VERSION: { status: 409, summary: 'the index was written by another format version' },
  WINNOW_INDEX_CORRUPT: {
    status: 500,
    summary: 'stored bytes fail their checksum or bounds check, or the file is no index',
  },
  WINNOW_INDEX_MISMATCH: { status: 409, summary: 'the index was built with another model or setting' },
  WINNOW_INDEX_READ_ONLY: { status: 409, summary: 'a write to an index that was opened for reading' },
  WINNOW_INDEX_CLOSED: { status: 409, summary: 'the index was closed before this call' },
  WINNOW_INDEX_IN_USE: { status: 409, summary: 'another process has the index open or writes to it' },
  WINNOW_ALREADY_EXISTS: { status: 409, summary: 'a file or folder is there that would be overwritten' },
  WINNOW_SNAPSHOT_INVALID: { status: 400, summary: 'a snapshot is incomplete or fails its checksum' },
  WINNOW_MERGE: { status: 500, summary: 'a merge of segments failed; the index is as it was before it' },
  WINNOW_TASK_INTERRUPTED: { status: 500, summary: 'a task was cut off by the end of the server too often' },
  WINNOW_STORAGE: { status: 507, summary: 'the disk or the file system refused a write' },
  WINNOW_MODEL_NOT_FOUND: { status: 404, summary: 'no model of that name or at that path' },
  WINNOW_MODEL_INVALID: { status: 400, summary: 'a model file is damaged or not of a supported shape' },
  WINNOW_TRAINING_MISMATCH: {
    status: 409,
    summary: 'a checkpoint of training is damaged, or of another model, other examples or other options',
  },
  WINNOW_NO_VECTORS: { status: 409, summary: 'reranking by vectors, and the model or the index has none' },
  WINNOW_KERNEL_UNAVAILABLE: { status: 500, summary: 'the requested kernel backend cannot run here' },
  WINNOW_MISSING_PACKAGE: { status: 500, summary: 'an optional package is not installed' },
  WINNOW_UNSUPPORTED: { status: 501, summary: 'the backend of this index cannot do that' },
  WINNOW_FILTER_FIELD: { status: 400, summary: 'a filter names a field that was not declared filterable' },
  WINNOW_BAD_DATASET: { status: 400, summary: 'an evaluation data set or run file is malformed' },
  WINNOW_UNAUTHORIZED: { status: 401, summary: 'a request has no valid key, and the server needs one' },
  WINNOW_FORBIDDEN: {
    status: 403,
    summary: 'a request names a host or origin that the server does not trust, or its key does not allow it',
  },
  WINNOW_METHOD: { status: 405, summary: 'a route has no such method' },
  WINNOW_TIMEOUT: { status: 408, summary: 'a request stopped arriving before it was whole' },
  WINNOW_TOO_LARGE: { status: 413, summary: 'a request body, URL or header is larger than the limit' },
  WINNOW_MEDIA_TYPE: {
    status: 415,
    summary: 'a request body has another type or encoding than the route reads',
  },
  WINNOW_TOO_COSTLY: { status: 400, summary: 'a search needs more work than one request may cause' },
  WINNOW_RATE_LIMIT: { status: 429, summary: 'a key or address sends more requests than the server allows' },
  WINNOW_BUSY: { status: 503, summary: 'the server has as much work waiting as it accepts, or is stopping' },
  WINNOW_UNHEALTHY: {
    status: 503,
    summary: 'the index folder of a running server is gone, or its cluster does not answer',
  },
  WINNOW_CLUSTER: {
    status: 503,
    summary: 'the search cluster did not answer, is busy, or refused a request',
  },
  WINNOW_SERVER: { status: 500, summary: 'the server could not start or failed inside' },
} as const satisfies Record<string, { status: number; summary: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorPlace {
  /** Where it happened: `file:line`, a parameter or field name, an index path and part. */
  readonly place?: string;
  /** The way out: the next command to run or the value to pass. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** An error with a public code, the place it happened and the way out; `message` reads as one sentence. */
export class WinnowError extends Error {
  readonly code: ErrorCode;
  readonly place: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, { place, hint, cause }: ErrorPlace = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'WinnowError';
    this.code = code;
    this.place = place;
    this.hint = hint;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  /** `CODE place: message (hint)`, the form that terminals and logs show. */
  override toString(): string {
    const where = this.place ? `${this.place}: ` : '';
    return `${this.code} ${where}${this.message}${this.hint ? ` (${this.hint})` : ''}`;
  }
}
