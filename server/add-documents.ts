import type { Readable } from 'node:stream';
import { contentHash } from '../corpus/content-hash.ts';
import { readJsonlStream } from '../corpus/jsonl.ts';
import { splitPassages } from '../corpus/passages.ts';
import { WinnowError } from '../errors.ts';
import type { SourceDocument } from '../indexer/types.ts';
import type { SearchEngine } from '../query/search-engine.ts';

export interface AddReport {
  added: number;
  replaced: number;
  unchanged: number;
  /** Rows that were refused; the others are indexed. */
  errors: { line: number; code: string; message: string }[];
}

/** Documents committed at a time; memory of a request is bounded by this, not by the length of its body. */
const BATCH_DOCUMENTS = 256;
/** Refused rows that are described one by one. */
const MAX_DESCRIBED_ERRORS = 100;

/** Indexes NDJSON rows as they arrive. Each committed batch is on disk even if a later row breaks the request. */
export async function addDocuments(engine: SearchEngine, body: Readable): Promise<AddReport> {
  const report: AddReport = { added: 0, replaced: 0, unchanged: 0, errors: [] };
  const lines = new Map<string, number>();
  let batch: SourceDocument[] = [];
  const refuse = (line: number, { code, message }: WinnowError): void => {
    if (report.errors.length < MAX_DESCRIBED_ERRORS) report.errors.push({ line, code, message });
  };
  const commit = async (): Promise<void> => {
    if (batch.length === 0) return;
    const { added, replaced } = await engine.addEach(batch, ({ id }, error) => refuse(lines.get(id)!, error));
    report.added += added;
    report.replaced += replaced;
    batch = [];
    lines.clear();
  };
  const window = { countTokens: (text: string) => engine.countTokens(text), maxTokens: engine.windowTokens };
  for await (const item of readJsonlStream(body, 'request body')) {
    const { line } = item.location;
    if ('error' in item) {
      refuse(line, item.error);
      continue;
    }
    const { document } = item;
    const hash = contentHash(document);
    if (engine.store.sourceHash(document.id) === hash) {
      report.unchanged++;
      continue;
    }
    try {
      batch.push({ id: document.id, contentHash: hash, documents: splitPassages(document, window) });
      lines.set(document.id, line);
    } catch (error) {
      if (!(error instanceof WinnowError)) throw error;
      refuse(line, error);
    }
    if (batch.length >= BATCH_DOCUMENTS) await commit();
  }
  await commit();
  report.errors.sort((a, b) => a.line - b.line);
  return report;
}
