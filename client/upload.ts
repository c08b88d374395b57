import type { Failure, WriteResult, WriteSummary } from '../app/service/types.ts';
import { WinnowClientError } from './errors.ts';
import { batchesOf } from './lines.ts';
import { type Call, type CallOptions, path, type Transport, WRITE_TIMEOUT_MS } from './transport.ts';
import type { FileContent, FileOptions, NewDocument, UploadOptions } from './types.ts';

const BATCH_DOCUMENTS = 1000;

/** A request of an upload, and how many of its rows are known before it is answered. */
interface Part {
  readonly call: Call;
  readonly rows: number;
}

/** The last line of an answer. */
interface LastLine {
  readonly summary: WriteSummary;
  readonly error?: Failure;
}

/**
 * Documents on their way into a collection: an iterable of results, one per document and in the order of commits. Documents are
 * taken from their source as results are taken from here. It can be read once.
 *
 * They are sent in requests of up to a million characters, because browsers stream no bodies over HTTP/1.1, and because a request
 * that the server is too busy for can be sent again. What was reported as added, replaced or unchanged is stored, also when reading
 * ends with a WinnowClientError.
 */
export class Upload implements AsyncIterable<WriteResult> {
  private readonly results: AsyncGenerator<WriteResult, void>;
  private counts: WriteSummary = {
    added: 0,
    replaced: 0,
    unchanged: 0,
    superseded: 0,
    failed: 0,
    mended: 0,
  };

  constructor(transport: Transport, parts: AsyncIterable<Part>, options: CallOptions) {
    this.results = this.run(transport, parts, options);
  }

  /** Counts of the requests that were answered so far. */
  get summary(): WriteSummary {
    return this.counts;
  }

  [Symbol.asyncIterator](): AsyncIterator<WriteResult> {
    return this.results;
  }

  /** Reads all results that are left. @returns the counts of all documents */
  async finish(): Promise<WriteSummary> {
    for await (const _ of this.results);
    return this.counts;
  }

  private async *run(
    transport: Transport,
    parts: AsyncIterable<Part>,
    options: CallOptions,
  ): AsyncGenerator<WriteResult, void> {
    let before = 0;
    for await (const { call, rows } of parts) {
      let last: LastLine | undefined;
      for await (const line of transport.lines<WriteResult | LastLine>(call, options)) {
        if ('summary' in line) last = line;
        else yield { ...line, line: before + line.line };
      }
      this.take(last);
      before += rows;
    }
  }

  private take(last: LastLine | undefined): void {
    if (!last)
      throw new WinnowClientError('WINNOW_CLIENT_ANSWER', 'the answer ends without its summary', {
        status: 200,
        hint: 'add the documents again: those that are stored are skipped',
      });
    const { summary, error } = last;
    const names = Object.keys(this.counts) as (keyof WriteSummary)[];
    this.counts = Object.fromEntries(
      names.map((name) => [name, this.counts[name] + summary[name]]),
    ) as unknown as WriteSummary;
    if (error) throw new WinnowClientError(error.code, error.message, { status: 200, ...error });
  }
}

/** The requests that bring documents into a collection. */
export async function* documentParts(
  collection: string,
  documents: AsyncIterable<NewDocument> | Iterable<NewDocument>,
  { mode, passages, results, batchDocuments = BATCH_DOCUMENTS }: UploadOptions,
): AsyncGenerator<Part, void> {
  const call = {
    method: 'POST',
    path: path`/collections/${collection}/documents`,
    query: { mode, passages, results },
    timeoutMs: WRITE_TIMEOUT_MS,
  } as const;
  for await (const { body, rows } of batchesOf(documents, batchDocuments))
    yield { call: { ...call, body, type: 'application/x-ndjson' }, rows };
}

/** The request that brings a file into a collection. */
export async function* filePart(
  collection: string,
  name: string,
  content: FileContent,
  { passages, results }: FileOptions,
): AsyncGenerator<Part, void> {
  const call = {
    method: 'POST',
    path: path`/collections/${collection}/files`,
    query: { name, passages, results },
    body: content,
    type: 'application/octet-stream',
    timeoutMs: WRITE_TIMEOUT_MS,
  } as const;
  yield { call, rows: 0 };
}
