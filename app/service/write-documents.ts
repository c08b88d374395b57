import { contentHash } from '../../corpus/content-hash.ts';
import { documentFromRow, RowProblem } from '../../corpus/document-row.ts';
import type { CorpusItem } from '../../corpus/open-corpus.ts';
import { WinnowError } from '../../errors.ts';
import type { SourceDocument } from '../../indexer/types.ts';
import type { WriteBatch } from '../../query/backend.ts';
import { TimeSlices } from '../../query/time-slices.ts';
import { SourcePreparer } from '../source-preparer.ts';
import type { Collection } from './collection.ts';
import { failureOf } from './failure.ts';
import type { WriteMode, WriteResult, WriteSummary } from './types.ts';

/** Documents and characters of titles and texts after which a batch is committed. */
const BATCH_DOCUMENTS = 128;
const BATCH_CHARACTERS = 2_000_000;

export interface WriteOptions {
  /** Default `upsert`. */
  readonly mode?: WriteMode;
  /** Cut long texts into passages. Default true. */
  readonly passages?: boolean;
  /** Ends the writing before the next batch, with its reason. */
  readonly signal?: AbortSignal;
}

/** A row that waits for its batch. */
interface Waiting {
  readonly line: number;
  readonly id: string;
  readonly source: SourceDocument;
}

/**
 * Writes rows as they arrive, in batches, and says of each what became of it. The next batch is read when one is on disk, so what
 * is reported as added, replaced or unchanged is stored durably.
 */
export class DocumentWriter {
  private readonly collection: Collection;
  private readonly mode: WriteMode;
  private readonly signal: AbortSignal | undefined;
  private readonly preparer: SourcePreparer;
  private readonly counts = { added: 0, replaced: 0, unchanged: 0, superseded: 0, failed: 0, mended: 0 };
  private waiting = new Map<string, Waiting>();
  private documents = 0;
  private characters = 0;

  constructor(collection: Collection, { mode = 'upsert', passages = true, signal }: WriteOptions = {}) {
    this.collection = collection;
    this.mode = mode;
    this.signal = signal;
    this.preparer = new SourcePreparer(collection.backend, passages);
  }

  /** Counts so far; of all rows when {@link write} has ended. */
  get summary(): WriteSummary {
    return { ...this.counts };
  }

  /** @throws WinnowError of the rows' stream or of the index, and the signal's reason; results so far remain true */
  async *write(rows: AsyncIterable<CorpusItem> | Iterable<CorpusItem>): AsyncGenerator<WriteResult> {
    const slices = new TimeSlices();
    for await (const row of rows) {
      yield* await this.take(row);
      await slices.pause();
      if (this.documents >= BATCH_DOCUMENTS || this.characters >= BATCH_CHARACTERS)
        yield* await this.commit();
    }
    yield* await this.commit();
  }

  private async take(row: CorpusItem): Promise<WriteResult[]> {
    const { line } = row.location;
    if ('error' in row) {
      const id = row.unread && 'id' in row.unread ? row.unread.id : undefined;
      return [this.failed({ line, id }, row.error)];
    }
    const { id, title, text } = row.document;
    const results: WriteResult[] = [];
    const earlier = this.waiting.get(id);
    if (this.mode === 'insert' && earlier) return [this.failed({ line, id }, alreadyThere(id))];
    if (earlier) results.push(this.counted({ line: earlier.line, id, status: 'superseded' }));
    try {
      const source = this.preparer.source(row);
      this.waiting.set(id, { line, id, source });
      this.documents += source.documents.length;
      this.characters += title.length + text.length;
    } catch (error) {
      if (!(error instanceof WinnowError)) throw error;
      results.push(this.failed({ line, id }, error));
    }
    return results;
  }

  private async commit(): Promise<WriteResult[]> {
    const batch = [...this.waiting.values()];
    this.waiting = new Map();
    this.documents = 0;
    this.characters = 0;
    if (batch.length === 0) return [];
    return this.collection.commits.run(async () => {
      this.signal?.throwIfAborted();
      return this.commitBatch(batch);
    });
  }

  private async commitBatch(batch: readonly Waiting[]): Promise<WriteResult[]> {
    const { backend } = this.collection;
    const stored = await this.storedHashes(batch);
    const results: WriteResult[] = [];
    const changed: Waiting[] = [];
    for (const one of batch) {
      const { line, id, source } = one;
      const hash = stored.get(id);
      if (hash !== undefined && this.mode === 'insert')
        results.push(this.failed({ line, id }, alreadyThere(id)));
      else if (hash === source.contentHash) results.push(this.counted({ line, id, status: 'unchanged' }));
      else changed.push(one);
    }
    const rejected = new Map<Waiting, WinnowError>();
    if (changed.length > 0) {
      const write: WriteBatch = {
        upserts: changed.map(({ source }) => source),
        onRejected: (_source, error, i) => rejected.set(changed[i]!, error),
      };
      const { mended } = await backend.write(write);
      this.counts.mended += mended;
    }
    for (const one of changed) {
      const { line, id } = one;
      const error = rejected.get(one);
      if (error) results.push(this.failed({ line, id }, error));
      else results.push(this.counted({ line, id, status: stored.has(id) ? 'replaced' : 'added' }));
    }
    return results.sort((a, b) => a.line - b.line);
  }

  /** Content hashes by id of those that are stored; empty for a source that is not whole. */
  private async storedHashes(batch: readonly Waiting[]): Promise<Map<string, string>> {
    const { backend } = this.collection;
    const hashes = new Map(await backend.contentHashes(batch.map(({ id }) => id)));
    for (const { id } of batch)
      if (!hashes.has(id) && (await backend.get(id)) !== undefined) hashes.set(id, '');
    return hashes;
  }

  private counted(result: WriteResult): WriteResult {
    this.counts[result.status]++;
    return result;
  }

  private failed({ line, id }: { line: number; id: string | undefined }, error: WinnowError): WriteResult {
    return this.counted({
      line,
      ...(id === undefined ? {} : { id }),
      status: 'failed',
      error: failureOf(error),
    });
  }
}

/** Rows of a list as a corpus has them. */
export function* rowsOfList(list: readonly unknown[]): Generator<CorpusItem> {
  for (const [i, row] of list.entries()) {
    const location = { file: 'documents', line: i + 1 };
    try {
      const document = documentFromRow(row as Record<string, unknown>);
      yield { document, location, contentHash: contentHash(document) };
    } catch (error) {
      if (!(error instanceof RowProblem)) throw error;
      const { unread } = error;
      yield { error: error.at(location.file, location.line), location, ...(unread ? { unread } : {}) };
    }
  }
}

const alreadyThere = (id: string): WinnowError =>
  new WinnowError('WINNOW_ALREADY_EXISTS', `there is a document "${id}" already`, {
    place: 'id',
    hint: 'use mode=upsert to replace it',
  });
