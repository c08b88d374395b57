import type { Readable } from 'node:stream';
import { type IngestReport, ingest } from '../app/ingest.ts';
import type { Lane } from '../app/lane.ts';
import { openJsonlStream } from '../corpus/open-corpus.ts';
import { WinnowError } from '../errors.ts';
import type { SearchBackend } from '../query/backend.ts';
import { LIMITS } from './limits.ts';
import { type BodyOptions, readBody } from './upload-body.ts';

export interface AddReport {
  added: number;
  replaced: number;
  unchanged: number;
  /** Documents with unpaired surrogates, which were stored as U+FFFD. */
  mended: number;
  /** Rows whose id came before in the request: the last row that the index takes wins. */
  duplicates: { rows: number; first: { id: string; earlier: number; later: number }[] };
  /** Rows that were refused; the others are indexed. */
  refused: number;
  /** The first of them. */
  errors: { line: number; code: string; message: string }[];
}

/** Refused rows, and pairs of rows with one id, that are described one by one. */
const MAX_DESCRIBED = 100;
/** Ids that are remembered to name the lines of both rows. */
const MAX_TRACKED_IDS = 100_000;

/**
 * Indexes NDJSON rows as they arrive: a batch is read, then waits for its turn in `commits`, and the next is read when it is on
 * disk. A client that is slow or gone holds nothing but its own batch.
 *
 * @throws WinnowError of the body ({@link readBody}) or of the index; the message says how much was indexed before it
 */
export async function addDocuments(
  backend: SearchBackend,
  body: Readable,
  options: BodyOptions,
  commits: Lane,
): Promise<AddReport> {
  const duplicates: AddReport['duplicates'] = { rows: 0, first: [] };
  const errors: AddReport['errors'] = [];
  const items = openJsonlStream(readBody(body, options), 'request body', {
    maxTrackedIds: MAX_TRACKED_IDS,
    onRepeatedId: ({ id, earlier, later }) => {
      duplicates.rows++;
      if (duplicates.first.length < MAX_DESCRIBED)
        duplicates.first.push({ id, earlier: earlier.line, later: later.line });
    },
  });
  let sofar: Readonly<IngestReport> | undefined;
  try {
    const report = await ingest(items, backend, {
      batchSize: LIMITS.batchDocuments,
      batchCharacters: LIMITS.batchCharacters,
      passages: true,
      deleteMissing: false,
      onBadRow: ({ code, message }, { line }) => {
        if (errors.length < MAX_DESCRIBED) errors.push({ line, code, message });
      },
      onProgress: (report) => {
        sofar = report;
      },
      stopped: () => false,
      turn: (commit) =>
        commits.run(() => {
          options.signal.throwIfAborted();
          return commit();
        }),
    });
    const { added, replaced, unchanged, mended, badRows: refused } = report;
    errors.sort((a, b) => a.line - b.line);
    return { added, replaced, unchanged, mended, duplicates, refused, errors };
  } catch (error) {
    const done = (sofar?.added ?? 0) + (sofar?.replaced ?? 0);
    if (!(error instanceof WinnowError) || done === 0) throw error;
    const { code, message, place, hint } = error;
    throw new WinnowError(code, `${message}; ${done} documents of the rows before it are indexed`, {
      ...(place === undefined ? {} : { place }),
      ...(hint === undefined ? {} : { hint }),
      cause: error,
    });
  }
}
