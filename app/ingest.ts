import { createHash } from 'node:crypto';
import type { CorpusItem } from '../corpus/open-corpus.ts';
import { splitPassages } from '../corpus/passages.ts';
import type { CorpusDocument, SourceLocation, UnreadScope } from '../corpus/types.ts';
import { WinnowError } from '../errors.ts';
import type { SourceDocument } from '../indexer/types.ts';
import type { SearchEngine } from '../query/search-engine.ts';

export interface IngestOptions {
  /** Documents (passages) committed at a time, 1..10,000. A crash loses at most the batch under way. */
  readonly batchSize: number;
  /** Characters of title and text that a batch holds before it is committed, whatever its documents. Default: no limit. */
  readonly batchCharacters?: number;
  /** Cut long texts into passages; otherwise they are cut off at the window. */
  readonly passages: boolean;
  /** Remove sources that the corpus no longer has. */
  readonly deleteMissing: boolean;
  readonly onBadRow: (error: WinnowError, location: SourceLocation) => void;
  /** Called for every source and every commit. */
  readonly onProgress: (report: Readonly<IngestReport>) => void;
  /** Called between batches: true ends the run after the last commit. */
  readonly stopped: () => boolean;
  /** Runs each commit, for callers that share the index with others. Default: at once. */
  readonly turn?: (commit: () => Promise<void>) => Promise<void>;
}

export interface IngestReport {
  sources: number;
  /** Documents encoded and committed, passages counted one each. */
  encoded: number;
  unchanged: number;
  added: number;
  replaced: number;
  deleted: number;
  /** Sources with unpaired surrogates, which were stored as U+FFFD. */
  mended: number;
  /** Sources that were not seen but may stand behind something unreadable, so that `deleteMissing` left them. */
  kept: number;
  badRows: number;
  /** Documents all of whose words are of scripts that the model does not know. */
  unknownScript: number;
  interrupted: boolean;
  encodeSeconds: number;
}

type ReadDocument = Extract<CorpusItem, { document: CorpusDocument }>;

/**
 * Streams a corpus into an index in committed batches. Sources whose content hash is already there are skipped, so an
 * interrupted run goes on where its last commit was, and a second run encodes only what changed. Of several rows with
 * one id the last wins.
 */
export async function ingest(
  corpus: AsyncIterable<CorpusItem>,
  engine: SearchEngine,
  options: IngestOptions,
): Promise<IngestReport> {
  const report: IngestReport = {
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
  const badRow = (error: WinnowError, location: SourceLocation): void => {
    report.badRows++;
    options.onBadRow(error, location);
  };
  const missing = options.deleteMissing ? new MissingSources(engine.store.sourceIds()) : undefined;
  const batch = new Batch(engine, report, badRow);
  const cutting = new Cutting(engine, options.passages);
  const { turn = (action) => action(), batchCharacters = Number.POSITIVE_INFINITY } = options;
  const commit = async (): Promise<void> => {
    if (batch.documents > 0) await turn(() => batch.commit());
    options.onProgress(report);
  };
  for await (const item of corpus) {
    if ('error' in item) {
      if (item.unread) missing?.unread(item.unread);
      badRow(item.error, item.location);
      continue;
    }
    report.sources++;
    missing?.seen(item.document.id);
    if (cutting.isUnchanged(item)) {
      report.unchanged++;
      // An earlier row of this id may wait to replace what is stored.
      batch.remove(item.document.id);
    } else {
      try {
        batch.add(cutting.source(item), item.location);
      } catch (error) {
        if (!(error instanceof WinnowError)) throw error;
        badRow(located(error, item.document.id, item.location), item.location);
      }
      if (batch.documents >= options.batchSize || batch.characters >= batchCharacters) await commit();
    }
    options.onProgress(report);
    if (options.stopped()) {
      report.interrupted = true;
      break;
    }
  }
  await commit();
  // An interrupted reading does not show what is gone.
  if (missing && !report.interrupted) {
    const { gone, kept } = missing.result();
    report.kept = kept;
    if (gone.length > 0) report.deleted = engine.delete(gone);
  }
  return report;
}

/** The error of a document that the index refuses, with the row it came from. */
function located(error: WinnowError, id: string, { file, line }: SourceLocation): WinnowError {
  const { code, message, place, hint, cause } = error;
  const name = `document "${id}"`;
  // The index names the document itself where one of its fields is at fault.
  const inDocument = place === undefined || place.startsWith(name) ? (place ?? name) : `${name}, ${place}`;
  const where = `${file}:${line}, ${inDocument}`;
  return new WinnowError(code, message, { place: where, cause, ...(hint === undefined ? {} : { hint }) });
}

/** Sources that wait to be encoded and committed together, in the order of their rows. */
class Batch {
  /** Documents of the waiting sources, passages counted one each. */
  documents = 0;
  /** Characters of their titles and texts. */
  characters = 0;
  private waiting: { readonly source: SourceDocument; readonly location: SourceLocation }[] = [];
  private readonly ids = new Set<string>();
  private readonly engine: SearchEngine;
  private readonly report: IngestReport;
  private readonly badRow: (error: WinnowError, location: SourceLocation) => void;

  constructor(
    engine: SearchEngine,
    report: IngestReport,
    badRow: (error: WinnowError, location: SourceLocation) => void,
  ) {
    this.engine = engine;
    this.report = report;
    this.badRow = badRow;
  }

  /** An earlier row of the id stays: it is the last one if the index refuses this one. */
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
    const { added, replaced, mended, unknownScript } = await this.engine.addEach(
      sources,
      ({ id }, error, i) => {
        encoded.delete(i);
        const { location } = waiting[i]!;
        this.badRow(located(error, id, location), location);
      },
    );
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

/** How long documents are cut, and whether what is stored was cut so. */
class Cutting {
  private readonly engine: SearchEngine;
  private readonly passages: boolean;
  private readonly window: { readonly countTokens: (text: string) => number; readonly maxTokens: number };

  constructor(engine: SearchEngine, passages: boolean) {
    this.engine = engine;
    this.passages = passages;
    this.window = {
      countTokens: (text: string) => engine.countTokens(text),
      maxTokens: engine.windowTokens,
    };
  }

  /** Whether the source is stored with this content and cut as wanted. */
  isUnchanged({ document, contentHash }: ReadDocument): boolean {
    const stored = this.engine.store.sourceHash(document.id);
    if (this.passages) return stored === contentHash;
    if (stored === uncutHash(contentHash)) return true;
    return stored === contentHash && !this.isStoredCut(document);
  }

  source({ document, contentHash, sections }: ReadDocument): SourceDocument {
    const cut = splitPassages(document, this.window, sections);
    if (this.passages || cut.length === 1) return { id: document.id, contentHash, documents: cut };
    return { id: document.id, contentHash: uncutHash(contentHash), documents: [document] };
  }

  private isStoredCut({ id, title, text }: CorpusDocument): boolean {
    // A token has a character at least, so a short text was never cut: it need not be looked up.
    if (title.length + text.length <= this.window.maxTokens) return false;
    const stored = this.engine.get(id);
    return stored !== undefined && 'passages' in stored;
  }
}

/** What is stored as the content hash of a document that passages would have cut and that was not cut. */
function uncutHash(contentHash: string): string {
  return createHash('sha256').update(`${contentHash} uncut`).digest('hex').slice(0, 32);
}

/** The stored sources that the corpus has not shown, less those that may stand behind something unreadable. */
class MissingSources {
  private readonly unseen: Set<string>;
  private readonly prefixes: string[] = [];
  private readonly unreadIds = new Set<string>();
  /** Whether something unreadable may be any document. */
  private any = false;

  constructor(stored: Iterable<string>) {
    this.unseen = new Set(stored);
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
