import { createHash } from 'node:crypto';
import type { Corpus, CorpusItem } from '../corpus/open-corpus.ts';
import { splitPassages } from '../corpus/passages.ts';
import type { CorpusDocument, SourceLocation, UnreadScope } from '../corpus/types.ts';
import { WinnowError } from '../errors.ts';
import type { SourceDocument } from '../indexer/types.ts';
import type { SearchEngine } from '../query/search-engine.ts';

export interface IngestOptions {
  /** Documents (passages) committed at a time, 1..10,000. A crash loses at most the batch under way. */
  readonly batchSize: number;
  /** Cut long texts into passages; otherwise they are cut off at the window. */
  readonly passages: boolean;
  /** Remove sources that the corpus no longer has. */
  readonly deleteMissing: boolean;
  readonly onBadRow: (error: WinnowError) => void;
  readonly onProgress: (report: IngestReport, fraction: number) => void;
  /** Called between batches: true ends the run after the last commit. */
  readonly stopped: () => boolean;
}

export interface IngestReport {
  sources: number;
  /** Documents encoded and committed, passages counted one each. */
  encoded: number;
  unchanged: number;
  added: number;
  replaced: number;
  deleted: number;
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
  corpus: Corpus,
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
    kept: 0,
    badRows: 0,
    unknownScript: 0,
    interrupted: false,
    encodeSeconds: 0,
  };
  const badRow = (error: WinnowError): void => {
    report.badRows++;
    options.onBadRow(error);
  };
  const missing = options.deleteMissing ? new MissingSources(engine.store.sourceIds()) : undefined;
  const batch = new Batch(engine, report, badRow);
  const cutting = new Cutting(engine, options.passages);
  const { progress } = corpus;
  // The length of standard input is not known.
  const fraction = () => (progress.bytesTotal === 0 ? 0 : progress.bytesRead / progress.bytesTotal);
  for await (const item of corpus) {
    if ('error' in item) {
      if (item.unread) missing?.unread(item.unread);
      badRow(item.error);
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
        badRow(located(error, item.document.id, item.location));
      }
      if (batch.documents >= options.batchSize) await batch.commit();
    }
    options.onProgress(report, fraction());
    if (options.stopped()) {
      report.interrupted = true;
      break;
    }
  }
  await batch.commit();
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

/** Sources that wait to be encoded and committed together, the last one of each id. */
class Batch {
  /** Documents of the waiting sources, passages counted one each. */
  documents = 0;
  private readonly waiting = new Map<string, { source: SourceDocument; location: SourceLocation }>();
  private readonly engine: SearchEngine;
  private readonly report: IngestReport;
  private readonly badRow: (error: WinnowError) => void;

  constructor(engine: SearchEngine, report: IngestReport, badRow: (error: WinnowError) => void) {
    this.engine = engine;
    this.report = report;
    this.badRow = badRow;
  }

  add(source: SourceDocument, location: SourceLocation): void {
    this.remove(source.id);
    this.waiting.set(source.id, { source, location });
    this.documents += source.documents.length;
  }

  remove(id: string): void {
    this.documents -= this.waiting.get(id)?.source.documents.length ?? 0;
    this.waiting.delete(id);
  }

  async commit(): Promise<void> {
    if (this.waiting.size === 0) return;
    const started = performance.now();
    const sources = [...this.waiting.values()].map(({ source }) => source);
    const { added, replaced, unknownScript } = await this.engine.addEach(
      sources,
      ({ id, documents }, error) => {
        this.documents -= documents.length;
        this.badRow(located(error, id, this.waiting.get(id)!.location));
      },
    );
    this.report.encodeSeconds += (performance.now() - started) / 1000;
    this.report.added += added;
    this.report.replaced += replaced;
    this.report.unknownScript += unknownScript;
    this.report.encoded += this.documents;
    this.waiting.clear();
    this.documents = 0;
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
