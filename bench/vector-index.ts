// The vectors of a benchmark, and their texts where there are any, as an index.
import { createReadStream, existsSync, mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Model } from '../encoder/model.ts';
import { SPECIAL_IDS } from '../encoder/transformer/tokenizer/wordpiece.ts';
import { IndexStore } from '../indexer/index-store.ts';
import type { IndexableSource } from '../indexer/types.ts';
import { analyze } from '../query/text/english-analyzer.ts';
import { type QuantizedQuery, quantizeQuery } from '../query/weights/quantized-query.ts';
import type { BenchVectors } from './vectors.ts';

const BUILD_BATCH = 16_384;
/** A field of random numbers below this; filters on it keep a share of the documents. */
export const SHARES = 1000;

/**
 * Opens the index of a folder, or makes it there.
 *
 * @param texts documents with title and text, a JSON object a line, in the order of the vectors: their words are indexed for BM25
 * @returns the index, and the seconds that it took to make it, undefined where it was there
 */
export async function benchIndex(
  folder: string,
  model: Model,
  vectors: BenchVectors,
  texts?: string,
): Promise<{ readonly store: IndexStore; readonly buildSeconds: number | undefined }> {
  const isNew = !existsSync(folder);
  mkdirSync(folder, { recursive: true });
  const store = IndexStore.openOrCreate(folder, {
    modelName: model.name,
    modelHash: model.hash,
    impactScale: 3 / 255,
    filterFields: [{ name: 'share', type: 'number' }],
  });
  if (!isNew) return { store, buildSeconds: undefined };
  const documents = vectors.offsets.length - 1;
  const words = texts === undefined ? undefined : wordsOf(texts);
  const started = performance.now();
  for (let from = 0; from < documents; from += BUILD_BATCH) {
    const to = Math.min(from + BUILD_BATCH, documents);
    const ofBatch: string[][] = [];
    while (words && ofBatch.length < to - from) {
      const { value, done } = await words.next();
      if (done) break;
      ofBatch.push(value);
    }
    store.upsert(sources(vectors, from, to, ofBatch));
  }
  store.forceMerge();
  return { store, buildSeconds: (performance.now() - started) / 1000 };
}

async function* wordsOf(texts: string): AsyncGenerator<string[], void> {
  for await (const line of createInterface({ input: createReadStream(texts) })) {
    if (line === '') continue;
    const { title, text } = JSON.parse(line) as { title: string; text: string };
    yield analyze(`${title} ${text}`);
  }
}

/** The queries of a collection, each the set of its tokens weighted by the model's idf. */
export function impactQueries({ queries }: Pick<BenchVectors, 'queries'>, model: Model): QuantizedQuery[] {
  return queries.map(({ tokens }) => {
    const terms = [...new Set(tokens)].filter((id) => !SPECIAL_IDS.has(id)).sort((a, b) => a - b);
    return quantizeQuery(
      terms,
      terms.map((id) => model.query.idf[id]!),
    );
  });
}

/** A number that has nothing to do with the document's place or content. */
export const shareOf = (document: number): number => (Math.imul(document + 1, 0x9e3779b1) >>> 8) % SHARES;

export function sources(
  { offsets, termIds, impacts }: BenchVectors,
  from: number,
  to: number,
  words: readonly (readonly string[])[] = [],
): IndexableSource[] {
  return Array.from({ length: to - from }, (_, i) => {
    const id = String(from + i);
    const [start, end] = [offsets[from + i]!, offsets[from + i + 1]!];
    return {
      id,
      contentHash: 'bench',
      documents: [
        {
          document: { id, title: '', text: '', metadata: { share: shareOf(from + i) } },
          vector: {
            termIds: termIds.subarray(start, end),
            weights: Float32Array.from(impacts.subarray(start, end), (impact) => (impact * 3) / 255),
          },
          words: words[i] ?? [],
        },
      ],
    };
  });
}
