import type { Corpus } from '../corpus/open-corpus.ts';
import { splitPassages } from '../corpus/passages.ts';
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
  /** Asked between batches: true ends the run after the last commit. */
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
  badRows: number;
  interrupted: boolean;
  encodeSeconds: number;
}

/**
 * Streams a corpus into an index in committed batches. Sources whose content hash is already there are passed over, so
 * an interrupted run goes on where its last commit was, and a second run encodes only what changed.
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
    badRows: 0,
    interrupted: false,
    encodeSeconds: 0,
  };
  const missing = options.deleteMissing ? new Set(engine.store.sourceIds()) : undefined;
  let batch: SourceDocument[] = [];
  let batchDocuments = 0;
  const badRow = (error: WinnowError): void => {
    report.badRows++;
    options.onBadRow(error);
  };
  const commit = async (): Promise<void> => {
    if (batch.length === 0) return;
    const started = performance.now();
    const { added, replaced } = await engine.addEach(batch, (_, error) => badRow(error));
    report.encodeSeconds += (performance.now() - started) / 1000;
    report.added += added;
    report.replaced += replaced;
    report.encoded += batchDocuments;
    batch = [];
    batchDocuments = 0;
  };

  const window = { countTokens: (text: string) => engine.countTokens(text), maxTokens: engine.windowTokens };
  const { progress } = corpus;
  const fraction = () => progress.bytesRead / Math.max(1, progress.bytesTotal);
  for await (const item of corpus) {
    if ('error' in item) {
      badRow(item.error);
      continue;
    }
    const { document, contentHash, sections } = item;
    report.sources++;
    missing?.delete(document.id);
    if (engine.store.sourceHash(document.id) === contentHash) {
      report.unchanged++;
    } else {
      try {
        const documents = options.passages ? splitPassages(document, window, sections) : [document];
        batch.push({ id: document.id, contentHash, documents });
        batchDocuments += documents.length;
      } catch (error) {
        if (!(error instanceof WinnowError)) throw error;
        badRow(error);
      }
      if (batchDocuments >= options.batchSize) await commit();
    }
    options.onProgress(report, fraction());
    if (options.stopped()) {
      report.interrupted = true;
      break;
    }
  }
  await commit();
  // An interrupted or damaged reading does not show what is gone.
  if (missing && missing.size > 0 && !report.interrupted && report.badRows === 0)
    report.deleted = engine.delete([...missing]);
  return report;
}
