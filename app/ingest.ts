import type { CorpusItem } from '../corpus/open-corpus.ts';
import type { SourceLocation, UnreadScope } from '../corpus/types.ts';
import { WinnowError } from '../errors.ts';
import type { SourceDocument } from '../indexer/types.ts';
import type { SearchBackend } from '../query/backend.ts';
import { TimeSlices } from '../query/time-slices.ts';
import { SourcePreparer } from './source-preparer.ts';

export interface IngestOptions {
  /** Documents (passages) per commit, 1..10,000. A crash loses at most the current batch. */
  readonly batchSize: number;
  /** Characters of titles and texts after which a smaller batch is committed. Default: no limit. */
  readonly batchCharacters?: number;
  /** Cut long texts into passages; otherwise they are cut off at the encoder's window. */
  readonly passages: boolean;
  /** Remove sources that the corpus no longer has. A function decides when their number is known. */
  readonly deleteMissing: boolean | ((missing: MissingCounts) => boolean);
  readonly onBadRow: (error: WinnowError, location: SourceLocation) => void;
  /** Called for every source and every commit. */
  readonly onProgress: (report: Readonly<IngestReport>) => void;
  /** Called after every row: true ends the run with a last commit. */
  readonly stopped: () => boolean;
  /** Runs each commit, for callers that share the index with others. Default: at once. */
  readonly turn?: (commit: () => Promise<void>) => Promise<void>;
}

export interface MissingCounts {
  /** Sources that the corpus no longer has. */
  readonly missing: number;
  /** Sources that the index had before the run. */
  readonly stored: number;
}

export interface IngestReport {
  sources: number;
  /** Documents (passages count one each) that were encoded and committed. */
  encoded: number;
  unchanged: number;
  added: number;
  replaced: number;
  deleted: number;
  /** Sources with unpaired surrogates, which were stored as U+FFFD. */
  mended: number;
  /** Sources that `deleteMissing` left because something unreadable may hide them. */
  kept: number;
  badRows: number;
  /** Documents all of whose words are in scripts that the model does not know. */
  unknownScript: number;
  interrupted: boolean;
  encodeSeconds: number;
}

/** Rows whose content hashes are looked up together, and characters after which fewer are. */
const LOOKUP_ROWS = 64;
const LOOKUP_CHARACTERS = 1_000_000;

/**
 * Streams a corpus into an index in committed batches. Sources whose content hash is already stored are skipped, so an
 * interrupted run continues after its last commit, and a second run encodes only what changed. Of several rows with
 * one id the last wins.
 *
 * @throws WinnowError of the corpus or the backend; what was committed before stays
 */
export function ingest(
  corpus: AsyncIterable<CorpusItem>,
  backend: SearchBackend,
  options: IngestOptions,
): Promise<IngestReport> {
  return new Ingestion(backend, options).run(corpus);
}

class Ingestion {
  private readonly backend: SearchBackend;
  private readonly options: IngestOptions;
  private readonly preparer: SourcePreparer;
  private readonly batch: Batch;
  private readonly slices = new TimeSlices();
  private missing: MissingSources | undefined;
  private readonly report: IngestReport = {
    sources: 0,
    encoded: 0,
    unchanged: 0,
    added: 0,
    replaced: 0,
    deleted: 0,
    mended: 0,
    kept: 0,
    badRows: 0,
    unknownScript: 0,
    interrupted: false,
    encodeSeconds: 0,
  };

  constructor(backend: SearchBackend, options: IngestOptions) {
    this.backend = backend;
    this.options = options;
    this.preparer = new SourcePreparer(backend, options.passages);
    this.batch = new Batch(backend, this.report, (error, location) => this.badRow(error, location));
  }

  async run(corpus: AsyncIterable<CorpusItem>): Promise<IngestReport> {
    const { deleteMissing } = this.options;
    if (deleteMissing) this.missing = await MissingSources.of(this.backend);
    for await (const rows of inGroups(corpus)) {
      await this.addRows(rows);
      if (this.report.interrupted) break;
    }
    await this.commit();
    // An interrupted reading does not show what is gone.
    if (this.missing && !this.report.interrupted) {
      const { gone, kept } = this.missing.result();
      this.report.kept = kept;
      const counts = { missing: gone.length, stored: this.missing.stored };
      const mayDelete = typeof deleteMissing === 'function' ? deleteMissing(counts) : true;
      if (gone.length > 0 && mayDelete)
        this.report.deleted = (await this.backend.write({ deletes: gone })).deleted;
    }
    return this.report;
  }

  private async addRows(rows: readonly CorpusItem[]): Promise<void> {
    const ids = rows.flatMap((row) => ('error' in row ? [] : [row.document.id]));
    let storedHashes = await this.backend.contentHashes(ids);
    for (const row of rows) {
      await this.addRow(row, storedHashes);
      await this.slices.pause();
      if (this.isBatchFull) {
        await this.commit();
        // A later row of the group may have the id of one that was just stored.
        storedHashes = await this.backend.contentHashes(ids);
      }
      this.options.onProgress(this.report);
      if (this.options.stopped()) {
        this.report.interrupted = true;
        return;
      }
    }
  }

  private async addRow(row: CorpusItem, storedHashes: ReadonlyMap<string, string>): Promise<void> {
    if ('error' in row) {
      if (row.unread) this.missing?.unread(row.unread);
      this.badRow(row.error, row.location);
      return;
    }
    const { id } = row.document;
    this.report.sources++;
    this.missing?.seen(id);
    if (await this.preparer.isUnchanged(row, storedHashes.get(id))) {
      this.report.unchanged++;
      // An earlier row of this id, not committed yet, must not replace what is stored.
      this.batch.remove(id);
      return;
    }
    try {
      this.batch.add(this.preparer.source(row), row.location);
    } catch (error) {
      if (!(error instanceof WinnowError)) throw error;
      this.badRow(located(error, id, row.location), row.location);
    }
  }

  private get isBatchFull(): boolean {
    const { batchSize, batchCharacters = Number.POSITIVE_INFINITY } = this.options;
    return this.batch.documents >= batchSize || this.batch.characters >= batchCharacters;
  }

  private async commit(): Promise<void> {
    const { turn = (action) => action(), onProgress } = this.options;
    if (this.batch.documents > 0) await turn(() => this.batch.commit());
    onProgress(this.report);
  }

  private badRow(error: WinnowError, location: SourceLocation): void {
    this.report.badRows++;
    this.options.onBadRow(error, location);
  }
}

/** Groups of rows, so that content hashes are looked up for many rows at a time. */
async function* inGroups(corpus: AsyncIterable<CorpusItem>): AsyncGenerator<CorpusItem[]> {
  let group: CorpusItem[] = [];
  let characters = 0;
  for await (const row of corpus) {
    group.push(row);
    if ('document' in row) characters += row.document.title.length + row.document.text.length;
    if (group.length < LOOKUP_ROWS && characters < LOOKUP_CHARACTERS) continue;
    yield group;
    group = [];
    characters = 0;
  }
  if (group.length > 0) yield group;
}

/** The error of a document that the index rejects, with the row that it came from. */
function located(error: WinnowError, id: string, { file, line }: SourceLocation): WinnowError {
  const { code, message, place, hint, cause } = error;
  const name = `document "${id}"`;
  // The index names the document itself where one of its fields is at fault.
  const inDocument = place === undefined || place.startsWith(name) ? (place ?? name) : `${name}, ${place}`;
  const where = `${file}:${line}, ${inDocument}`;
  return new WinnowError(code, message, { place: where, cause, ...(hint === undefined ? {} : { hint }) });
}

/** Sources that will be encoded and committed together, in the order of their rows. */
class Batch {
  /** Documents of the waiting sources, passages counted one each. */
  documents = 0;
  /** Characters of their titles and texts. */
  characters = 0;
  private waiting: { readonly source: SourceDocument; readonly location: SourceLocation }[] = [];
  private readonly ids = new Set<string>();
  private readonly backend: SearchBackend;
  private readonly report: IngestReport;
  private readonly badRow: (error: WinnowError, location: SourceLocation) => void;

  constructor(
    backend: SearchBackend,
    report: IngestReport,
    badRow: (error: WinnowError, location: SourceLocation) => void,
  ) {
    this.backend = backend;
    this.report = report;
    this.badRow = badRow;
  }

  /** An earlier row of the id stays: it is the last one if the index rejects this one. */
  add(source: SourceDocument, location: SourceLocation): void {
    this.waiting.push({ source, location });
    this.ids.add(source.id);
    this.documents += source.documents.length;
    for (const { title = '', text } of source.documents) this.characters += title.length + text.length;
  }

  remove(id: string): void {
    if (!this.ids.has(id)) return;
    const kept = this.waiting.filter(({ source }) => source.id !== id);
    this.clear();
    for (const { source, location } of kept) this.add(source, location);
  }

  async commit(): Promise<void> {
    const started = performance.now();
    const { waiting } = this;
    const sources = waiting.map(({ source }) => source);
    const encoded = new Map(sources.map((source, i) => [i, source]));
    const { added, replaced, mended, unknownScript } = await this.backend.write({
      upserts: sources,
      onRejected: ({ id }, error, i) => {
        encoded.delete(i);
        const { location } = waiting[i]!;
        this.badRow(located(error, id, location), location);
      },
    });
    this.report.encodeSeconds += (performance.now() - started) / 1000;
    this.report.added += added;
    this.report.replaced += replaced;
    this.report.mended += mended;
    this.report.unknownScript += unknownScript;
    const latest = new Map([...encoded.values()].map(({ id, documents }) => [id, documents.length]));
    for (const count of latest.values()) this.report.encoded += count;
    this.clear();
  }

  private clear(): void {
    this.waiting = [];
    this.ids.clear();
    this.documents = 0;
    this.characters = 0;
  }
}

/** The stored sources that the corpus has not shown, without those that may be hidden by something unreadable. */
class MissingSources {
  /** Sources that the index had. */
  readonly stored: number;
  private readonly unseen: Set<string>;
  private readonly prefixes: string[] = [];
  private readonly unreadIds = new Set<string>();
  /** Whether something unreadable may be any of the documents. */
  private any = false;

  private constructor(stored: Set<string>) {
    this.stored = stored.size;
    this.unseen = stored;
  }

  static async of(backend: SearchBackend): Promise<MissingSources> {
    const stored = new Set<string>();
    for await (const id of backend.sourceIds()) stored.add(id);
    return new MissingSources(stored);
  }

  seen(id: string): void {
    this.unseen.delete(id);
  }

  unread(scope: UnreadScope): void {
    if ('all' in scope) this.any = true;
    else if ('id' in scope) this.unreadIds.add(scope.id);
    else this.prefixes.push(scope.prefix);
  }

  result(): { readonly gone: string[]; readonly kept: number } {
    if (this.any) return { gone: [], kept: this.unseen.size };
    const gone = [...this.unseen].filter(
      (id) => !this.unreadIds.has(id) && !this.prefixes.some((prefix) => id.startsWith(prefix)),
    );
    return { gone, kept: this.unseen.size - gone.length };
  }
}
