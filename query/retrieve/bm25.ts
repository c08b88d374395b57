import { inverseDocumentFrequency } from '../../encoder/idf-query.ts';
import type { PostingLists } from '../../indexer/postings/posting-list-reader.ts';
import type { Segment } from '../../indexer/segment/segment.ts';
import type { IndexView, SegmentView } from '../../indexer/store/index-view.ts';
import { CHUNK_BITS, CHUNK_DOCS, NOT_DENSE, WINDOW_DOCS } from '../../kernels/search/layout.ts';
import { lexicalSearch } from '../../kernels/search/posting-search.ts';
import type { LexicalSearch } from '../../kernels/search/search-types.ts';
import { type Deadline, NO_DEADLINE } from '../deadline.ts';
import { luceneLength } from '../text/lucene-length.ts';
import { type AcceptBits, accepts } from './accept-bits.ts';
import { type SegmentTopDocs, TopK } from './top-k.ts';

/** Anserini's values, which the published BEIR figures were made with (Lucene's own defaults are 1.2 and .75). */
export const BM25_K1 = 0.9;
export const BM25_B = 0.4;

/** A query word with its inverse document frequency over the whole index. */
export interface Bm25Term {
  readonly word: string;
  readonly idf: number;
  /** Its posting list in each segment that has one. */
  readonly lists: ReadonlyMap<Segment, number>;
}

export interface Bm25Query {
  readonly terms: readonly Bm25Term[];
  /** By document length in words (clamped): `k1 * (1 - b + b * length / averageLength)`, as f32. */
  readonly norm: (length: number) => number;
}

/**
 * What `tf` occurrences of a word are worth in a document of this norm, 0..1, in f32: the quotient of two f32 numbers is the same on
 * every processor and in TypeScript, and vectors hold twice as many of them. Lucene scores in f32, too.
 */
const saturation = (tf: number, norm: number): number => Math.fround(tf / Math.fround(tf + norm));

/**
 * Collects idf and length statistics of an index for the words of a query; a word given twice counts twice.
 *
 * Lucene's BM25Similarity: {@link inverseDocumentFrequency}, tf part = {@link saturation}, no (k1 + 1). Deleted documents
 * count until their segment is merged, as in Lucene.
 */
export function bm25Query(generation: IndexView, words: readonly string[]): Bm25Query {
  let numDocs = 0;
  let sumLengths = 0;
  for (const { segment } of generation.segments) {
    numDocs += segment.numDocs;
    sumLengths += segment.sumLengths;
  }
  const average = Math.max(1, sumLengths / Math.max(1, numDocs));
  const terms = words.map((word) => {
    let df = 0;
    const lists = new Map<Segment, number>();
    for (const { segment } of generation.segments) {
      const list = segment.words.find(word);
      if (list < 0) continue;
      lists.set(segment, list);
      df += segment.wordPostings.documentFrequency(list);
    }
    return { word, idf: inverseDocumentFrequency(numDocs, df), lists };
  });
  return {
    terms,
    norm: (length) => Math.fround(BM25_K1 * (1 - BM25_B + (BM25_B * luceneLength(length)) / average)),
  };
}

const normCache = new WeakMap<SegmentView, Float32Array>();

/** Norm of every document of a segment; computed once per view, because the average length is that of the whole index. */
export function segmentNorms(view: SegmentView, { norm }: Bm25Query): Float32Array {
  const known = normCache.get(view);
  if (known) return known;
  const byLength = new Map<number, number>();
  const norms = Float32Array.from(view.segment.lengths, (length) => {
    let value = byLength.get(length);
    if (value === undefined) {
      value = norm(length);
      byLength.set(length, value);
    }
    return value;
  });
  normCache.set(view, norms);
  return norms;
}

/** Scratch, all zero between windows. */
const scores = new Float64Array(WINDOW_DOCS);

/** A word of a query in one segment. */
export interface WordList {
  readonly list: number;
  readonly idf: number;
}

/** The native search of each segment, made when first needed; undefined where only TypeScript runs. */
const kernels = new WeakMap<PostingLists, { search: LexicalSearch | undefined }>();

/** The words of a query that a segment has, in the order of the query, each list checked before its first use. */
export function wordLists(segment: Segment, query: Bm25Query): WordList[] {
  const found: WordList[] = [];
  for (const { idf, lists } of query.terms) {
    const list = lists.get(segment);
    if (list === undefined) continue;
    segment.wordPostings.verify(list);
    found.push({ list, idf });
  }
  return found;
}

/** A BM25 search of one segment. */
export interface WordSearch {
  /** At least one. */
  readonly lists: readonly WordList[];
  /** As of {@link segmentNorms}. */
  readonly norms: Float32Array;
  readonly acceptBits: AcceptBits;
  readonly k: number;
  /** Lower bound on the k-th best score of the whole index; 0 when none is known. */
  readonly threshold: number;
  readonly deadline: Deadline;
}

/**
 * Exact BM25 top-k of one segment by the fastest backend, equal to {@link bm25Scan} in every bit. After the deadline it returns what it
 * has.
 */
export function bm25Search(
  segment: Pick<Segment, 'wordPostings' | 'idRanks' | 'numDocs'>,
  { lists, norms, acceptBits, k, threshold, deadline }: WordSearch,
): SegmentTopDocs {
  const { wordPostings } = segment;
  let kernel = kernels.get(wordPostings);
  if (!kernel) {
    kernel = { search: lexicalSearch({ ...wordPostings.block, ranks: segment.idRanks }) };
    kernels.set(wordPostings, kernel);
  }
  if (!kernel.search) {
    const top = new TopK(Math.min(k, segment.numDocs));
    const complete = bm25Scan(segment, lists, norms, acceptBits, top, deadline);
    return { ...top.sorted(), complete };
  }
  const listIds = new Uint32Array(lists.length);
  const idf = new Float64Array(lists.length);
  for (let i = 0; i < lists.length; i++) {
    listIds[i] = lists[i]!.list;
    idf[i] = lists[i]!.idf;
  }
  return kernel.search(listIds, idf, norms, acceptBits, k, threshold, deadline.kernelBudgetUs);
}

/**
 * Exact BM25 top-k of one segment, windowed like the sparse scan: the specification of the native search, its fallback and
 * its test oracle.
 *
 * @returns false when the deadline passed first; at least one window was scored
 */
export function bm25Scan(
  segment: Pick<Segment, 'wordPostings' | 'idRanks'>,
  lists: readonly WordList[],
  norms: Float32Array,
  acceptBits: AcceptBits,
  top: TopK,
  deadline: Deadline = NO_DEADLINE,
): boolean {
  const { wordPostings, idRanks } = segment;
  const cursors = lists.map(() => 0);
  for (let start = 0; start < wordPostings.numDocs; start += WINDOW_DOCS) {
    if (start > 0 && deadline.isPast) return false;
    const end = Math.min(start + WINDOW_DOCS, wordPostings.numDocs);
    for (let i = 0; i < lists.length; i++)
      cursors[i] = addWords(wordPostings, lists[i]!, norms, start, end, cursors[i]!);
    let threshold = top.threshold;
    for (let docId = start; docId < end; docId++) {
      const score = scores[docId - start]!;
      if (score === 0) continue;
      scores[docId - start] = 0;
      if (score < threshold || !accepts(acceptBits, docId)) continue;
      top.offer(score, idRanks[docId]!, docId);
      threshold = top.threshold;
    }
  }
  return true;
}

/** Adds one word's postings in [start, end) to the scores. @returns the posting to continue from in the next window */
function addWords(
  { denseColumnOf, columnStride, columns, numChunks, starts, localIds, values }: PostingLists,
  { list, idf }: WordList,
  norms: Float32Array,
  start: number,
  end: number,
  cursor: number,
): number {
  const denseColumn = denseColumnOf[list]!;
  if (denseColumn !== NOT_DENSE) {
    const column = denseColumn * columnStride;
    for (let docId = start; docId < end; docId++) {
      const tf = columns[column + docId]!;
      if (tf > 0) scores[docId - start]! += idf * saturation(tf, norms[docId]!);
    }
    return 0;
  }
  const listChunk = list * numChunks + (start >>> CHUNK_BITS);
  const chunkStart = start & -CHUNK_DOCS;
  const stop = end - chunkStart;
  const last = starts[listChunk + 1]!;
  let p = start === chunkStart ? starts[listChunk]! : cursor;
  for (; p < last && localIds[p]! < stop; p++) {
    const docId = chunkStart + localIds[p]!;
    const tf = values[p]!;
    scores[docId - start]! += idf * saturation(tf, norms[docId]!);
  }
  return p;
}

/** What one word of the query adds to a document's BM25 score. */
export interface WordContribution {
  /** As analysed, e.g. `appl` for `apples`. */
  readonly word: string;
  readonly idf: number;
  /** Occurrences in the document, 255 at most. */
  readonly frequency: number;
  readonly contribution: number;
}

/**
 * Splits a document's BM25 score by word, largest contribution first; words that the document lacks come last with 0. The
 * contributions sum to the score of {@link bm25Scan}; a word given twice in the query has one entry with both.
 */
export function explainBm25({ segment }: SegmentView, docId: number, query: Bm25Query): WordContribution[] {
  const norm = query.norm(segment.lengths[docId]!);
  const byWord = new Map<string, WordContribution>();
  for (const { word, idf } of query.terms) {
    const frequency = wordFrequency(segment, word, docId);
    const contribution = (byWord.get(word)?.contribution ?? 0) + idf * saturation(frequency, norm);
    byWord.set(word, { word, idf, frequency, contribution });
  }
  return [...byWord.values()].sort((a, b) => b.contribution - a.contribution || b.idf - a.idf);
}

function wordFrequency(segment: Segment, word: string, docId: number): number {
  const { wordPostings } = segment;
  const list = segment.words.find(word);
  if (list < 0) return 0;
  wordPostings.verify(list);
  const denseColumn = wordPostings.denseColumnOf[list]!;
  if (denseColumn !== NOT_DENSE)
    return wordPostings.columns[denseColumn * wordPostings.columnStride + docId]!;
  const listChunk = list * wordPostings.numChunks + (docId >>> CHUNK_BITS);
  const from = wordPostings.starts[listChunk]!;
  const at = wordPostings.localIds
    .subarray(from, wordPostings.starts[listChunk + 1]!)
    .indexOf(docId & (CHUNK_DOCS - 1));
  return at < 0 ? 0 : wordPostings.values[from + at]!;
}
