import { createHash } from 'node:crypto';
import type { JudgedQuery } from '../../corpus/judged-queries.ts';
import { type Corpus, fractionRead, openCorpus } from '../../corpus/open-corpus.ts';
import { WinnowError } from '../../errors.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { ingest } from '../ingest.ts';

interface IndexingOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: (fraction: number, documents: number) => void;
  readonly onBadRow: (error: WinnowError) => void;
}

const BATCH = 128;

/**
 * Reads a corpus into the index of a run. A run that was stopped goes on after its last batch.
 *
 * @throws the signal's reason when it is aborted; WinnowError WINNOW_EMPTY_CORPUS, and those of the corpus
 */
export async function indexDocuments(
  path: string,
  index: EmbeddedBackend,
  { signal, onProgress, onBadRow }: IndexingOptions,
): Promise<void> {
  const corpus: Corpus = await openCorpus(path);
  await ingest(corpus, index, {
    batchSize: BATCH,
    passages: true,
    deleteMissing: true,
    onBadRow,
    onProgress: ({ sources }) => onProgress(fractionRead(corpus), sources),
    stopped: () => signal?.aborted === true,
  });
  signal?.throwIfAborted();
  requireDocuments(index, path);
}

/** Makes an index of the texts that pairs bring, where there are no other documents. */
export async function indexPairTexts(
  queries: readonly JudgedQuery[],
  index: EmbeddedBackend,
  place: string,
  { signal, onProgress }: IndexingOptions,
): Promise<void> {
  const texts = [
    ...new Set(queries.flatMap(({ positives, negatives }) => [...positives, ...negatives])),
  ].filter((text) => /\s/.test(text.trim()));
  for (let at = 0; at < texts.length; at += BATCH) {
    signal?.throwIfAborted();
    const batch = texts.slice(at, at + BATCH).map((text, i) => ({
      id: `text-${at + i + 1}`,
      contentHash: createHash('sha256').update(text).digest('hex').slice(0, 32),
      documents: [{ text }],
    }));
    const stored = index.contentHashes(batch.map(({ id }) => id));
    await index.write({ upserts: batch.filter(({ id, contentHash }) => stored.get(id) !== contentHash) });
    onProgress((at + batch.length) / texts.length, at + batch.length);
  }
  requireDocuments(index, place);
}

/** Queries and answers are told apart by documents: with fewer there is nothing to learn. */
const LEAST_DOCUMENTS = 20;

export function requireDocuments(index: EmbeddedBackend, place: string): void {
  const { documents } = index.stats();
  if (documents >= LEAST_DOCUMENTS) return;
  throw new WinnowError(
    'WINNOW_EMPTY_CORPUS',
    `${documents} documents are too few to train on, the least are ${LEAST_DOCUMENTS}`,
    { place, hint: 'give a folder or file with more documents' },
  );
}
