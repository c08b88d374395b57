/** How a search may save time. */
export interface SearchLimits {
  /**
   * 0 < alpha <= 1: blocks are skipped whose bound times alpha cannot reach the hits. At 1 none is lost; below, a
   * document that is missed scores at most the worst hit's score / alpha. Undefined: every document is scored.
   */
  readonly alpha?: number | undefined;
  /**
   * Microseconds, above 0, after which the search returns what it has: a pruned one of the best blocks, another one of the
   * first documents, one window at least. Default: unlimited.
   */
  readonly budgetUs?: number | undefined;
}

/**
 * Hits of one search, best first: `docIds[i]` with integer `scores[i]` for i < count. Views, valid until the next
 * search.
 */
export interface PostingHits {
  readonly count: number;
  readonly docIds: Uint32Array;
  readonly scores: Uint32Array;
  /** Blocks of 64 documents that pruned search scored; undefined when all documents were scanned. */
  readonly blocksScored: number | undefined;
  /** False when the time budget ran out before the search was through. */
  readonly complete: boolean;
}

/**
 * Top-k over one block of posting lists: exhaustive, or with block-max pruning when `alpha` is given and the block
 * has maxima. Synchronous; not reentrant.
 *
 * @param query n >= 1 list ids, then n integer weights 1..32,767
 * @param filterBits one bit per document (little-endian), 1 = may be a hit; undefined: every document may
 * @param k 1..
 * @param threshold a score that at least k accepted documents reach, 0 when none is known: it only saves time
 */
export type PostingSearch = (
  query: Uint32Array,
  filterBits: Uint8Array | undefined,
  k: number,
  threshold: number,
  limits?: SearchLimits,
) => PostingHits;

/** Hits of a BM25 search, best first. Views, valid until the next search. */
export interface LexicalHits {
  readonly count: number;
  readonly docIds: Uint32Array;
  readonly scores: Float64Array;
  /** False when the time budget ran out before the search was through. */
  readonly complete: boolean;
}

/**
 * Exact BM25 top-k over one block of posting lists whose values are term frequencies.
 *
 * @param listIds one per word of the query
 * @param idf the weight of each
 * @param norms per document: k1 * (1 - b + b * length / average length), in f32 as the quotient with it
 * @param filterBits one bit per document (little-endian), 1 = may be a hit; undefined: every document may
 * @param threshold a score that at least k accepted documents reach, 0 when none is known: it only saves time
 * @param budgetUs as of {@link SearchLimits}
 */
export type LexicalSearch = (
  listIds: Uint32Array,
  idf: Float64Array,
  norms: Float32Array,
  filterBits: Uint8Array | undefined,
  k: number,
  threshold: number,
  budgetUs?: number,
) => LexicalHits;
