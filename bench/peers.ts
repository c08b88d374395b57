// Other in-process engines over the same vectors and queries: how far ahead (or behind) is measured in one run.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WinnowError } from '../errors.ts';
import type { QuantizedQuery } from '../query/weights/quantized-query.ts';
import type { BenchVectors } from './vectors.ts';

export interface Peer {
  readonly name: string;
  readonly buildSeconds: number;
  /** Scores of the k best documents in the units of {@link QuantizedQuery}, best first. */
  search(query: QuantizedQuery, k: number): number[];
  close(): void;
}

/** What one would write by hand: a map from term to parallel arrays, a score array, and sorting of what was touched. */
export function plainJavaScript({ offsets, termIds, impacts }: BenchVectors): Peer {
  const started = performance.now();
  const numDocs = offsets.length - 1;
  const lists = new Map<number, { docIds: number[]; values: number[] }>();
  for (let docId = 0; docId < numDocs; docId++) {
    for (let p = offsets[docId]!; p < offsets[docId + 1]!; p++) {
      if (impacts[p] === 0) continue;
      const list = lists.get(termIds[p]!) ?? { docIds: [], values: [] };
      lists.set(termIds[p]!, list);
      list.docIds.push(docId);
      list.values.push(impacts[p]!);
    }
  }
  const packed = new Map(
    [...lists].map(([term, { docIds, values }]) => [
      term,
      { docIds: Uint32Array.from(docIds), values: Uint8Array.from(values) },
    ]),
  );
  const buildSeconds = (performance.now() - started) / 1000;
  const scores = new Uint32Array(numDocs);
  return {
    name: 'plain JavaScript inverted index',
    buildSeconds,
    search({ termIds: terms, weights }, k) {
      const best: number[] = [];
      scores.fill(0);
      terms.forEach((term, i) => {
        const list = packed.get(term);
        if (!list) return;
        const { docIds, values } = list;
        for (let p = 0; p < docIds.length; p++) scores[docIds[p]!]! += weights[i]! * values[p]!;
      });
      for (let docId = 0; docId < numDocs; docId++) {
        const score = scores[docId]!;
        if (score === 0 || (best.length === k && score <= best[k - 1]!)) continue;
        let at = best.length < k ? best.length : k - 1;
        for (; at > 0 && best[at - 1]! < score; at--) best[at] = best[at - 1]!;
        best[at] = score;
      }
      return best;
    },
    close() {},
  };
}

/** The parts of zvec that are used here. */
interface Zvec {
  readonly ZVecCollectionSchema: new (schema: object) => object;
  readonly ZVecDataType: { readonly SPARSE_VECTOR_FP32: number };
  readonly ZVecIndexType: { readonly HNSW: number; readonly FLAT: number };
  readonly ZVecMetricType: { readonly IP: number };
  ZVecCreateAndOpen(
    path: string,
    schema: object,
  ): {
    insertSync(documents: object[]): unknown;
    optimizeSync(): unknown;
    querySync(query: object): { readonly score: number }[];
    closeSync?(): void;
  };
}

/**
 * zvec's sparse vectors in an HNSW graph, its only index for them.
 *
 * @throws WinnowError WINNOW_NOT_FOUND when the package is not there
 */
export function zvecHnsw({ offsets, termIds, impacts }: BenchVectors): Peer {
  const zvec = loadZvec();
  const folder = mkdtempSync(join(tmpdir(), 'winnow-zvec-'));
  const started = performance.now();
  const schema = new zvec.ZVecCollectionSchema({
    name: 'bench',
    vectors: {
      name: 'vector',
      dataType: zvec.ZVecDataType.SPARSE_VECTOR_FP32,
      indexParams: { indexType: zvec.ZVecIndexType.HNSW, metricType: zvec.ZVecMetricType.IP },
    },
  });
  const collection = zvec.ZVecCreateAndOpen(join(folder, 'collection'), schema);
  const numDocs = offsets.length - 1;
  for (let from = 0; from < numDocs; from += 512) {
    const batch = Array.from({ length: Math.min(512, numDocs - from) }, (_, i) => {
      const vector: Record<number, number> = {};
      for (let p = offsets[from + i]!; p < offsets[from + i + 1]!; p++) vector[termIds[p]!] = impacts[p]!;
      return { id: String(from + i), vectors: { vector } };
    });
    collection.insertSync(batch);
  }
  collection.optimizeSync();
  return {
    name: 'zvec HNSW',
    buildSeconds: (performance.now() - started) / 1000,
    search({ termIds: terms, weights }, k) {
      const vector: Record<number, number> = {};
      terms.forEach((term, i) => {
        vector[term] = weights[i]!;
      });
      return collection.querySync({ fieldName: 'vector', vector, topk: k }).map(({ score }) => score);
    },
    close() {
      collection.closeSync?.();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function loadZvec(): Zvec {
  try {
    return createRequire(import.meta.url)('@zvec/zvec') as Zvec;
  } catch (cause) {
    throw new WinnowError('WINNOW_NOT_FOUND', 'the package @zvec/zvec is not installed', {
      place: '--peers',
      hint: 'npm install --no-save @zvec/zvec',
      cause,
    });
  }
}
