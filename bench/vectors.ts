import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../errors.ts';
import { randomSource } from '../random.ts';

/** Document vectors with u8 impacts, row by row, and token-id queries. */
export interface BenchVectors {
  readonly offsets: Uint32Array;
  /** Ascending inside a document. */
  readonly termIds: Uint16Array;
  /** weight = impact * 3 / 255; 0 is allowed in the source and left out here. */
  readonly impacts: Uint8Array;
  readonly queries: readonly {
    readonly kind: string;
    readonly tokens: readonly number[];
    readonly text?: string;
  }[];
}

/**
 * Reads a folder of `counts.u16` (terms per document), `terms.u16`, `weights.u8` (little-endian) and `queries.jsonl`
 * (`{"kind", "tokens"}`).
 */
export function readBenchVectors(folder: string): BenchVectors {
  const read = (name: string): Uint8Array => {
    const path = join(folder, name);
    if (!existsSync(path))
      throw new WinnowError('WINNOW_NOT_FOUND', `the vectors lack ${name}`, { place: folder });
    return new Uint8Array(readFileSync(path));
  };
  const counts = new Uint16Array(read('counts.u16').buffer);
  const offsets = new Uint32Array(counts.length + 1);
  counts.forEach((count, i) => {
    offsets[i + 1] = offsets[i]! + count;
  });
  const termIds = new Uint16Array(read('terms.u16').buffer);
  const impacts = read('weights.u8');
  if (termIds.length !== impacts.length || offsets[counts.length] !== impacts.length) {
    throw new WinnowError('WINNOW_BAD_DATASET', 'counts, terms and weights differ in length', {
      place: folder,
    });
  }
  return { offsets, termIds, impacts, queries: readBenchQueries(folder) };
}

/** The queries of such a folder. */
export function readBenchQueries(folder: string): BenchVectors['queries'] {
  const lines = readFileSync(join(folder, 'queries.jsonl'), 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

/**
 * A collection of another size. Fewer documents than there are: a random sample. More: documents are drawn again in random order with
 * impacts jittered by up to 10 %, so that sizes beyond the real data can be measured. Same seed, same result.
 */
export function grow(vectors: BenchVectors, documents: number, seed: number): BenchVectors {
  const random = randomSource(seed);
  const numDocs = vectors.offsets.length - 1;
  const isSample = documents <= numDocs;
  const picks = isSample
    ? sample(numDocs, documents, random)
    : Uint32Array.from({ length: documents }, () => Math.floor(random() * numDocs));
  const offsets = new Uint32Array(documents + 1);
  picks.forEach((pick, i) => {
    offsets[i + 1] = offsets[i]! + vectors.offsets[pick + 1]! - vectors.offsets[pick]!;
  });
  const total = offsets[documents]!;
  const termIds = new Uint16Array(total);
  const impacts = new Uint8Array(total);
  picks.forEach((pick, i) => {
    const from = vectors.offsets[pick]!;
    const to = vectors.offsets[pick + 1]!;
    termIds.set(vectors.termIds.subarray(from, to), offsets[i]!);
    if (isSample) impacts.set(vectors.impacts.subarray(from, to), offsets[i]!);
    for (let p = from; p < to && !isSample; p++) {
      const jittered = Math.round(vectors.impacts[p]! * (0.9 + 0.2 * random()));
      impacts[offsets[i]! + p - from] = Math.max(1, Math.min(255, jittered));
    }
  });
  return { offsets, termIds, impacts, queries: vectors.queries };
}

/** `count` of the numbers below `size`, each once, in random order. */
function sample(size: number, count: number, random: () => number): Uint32Array {
  const all = Uint32Array.from({ length: size }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    const j = i + Math.floor(random() * (size - i));
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all.slice(0, count);
}
