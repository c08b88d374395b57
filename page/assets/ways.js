/** @type {Readonly<Record<import('./state.js').Way, string>>} */
export const WAY_NAMES = { sparse: 'Sparse', bm25: 'BM25', hybrid: 'Hybrid', rerank: 'Reranked' };

/** @type {Readonly<Record<import('./state.js').Way, string>>} */
export const WAY_HINTS = {
  sparse: 'By learned weights: finds what is meant',
  bm25: 'By the words that occur',
  hybrid: 'By learned weights and words together',
  rerank: 'The best sparse hits, read again by the reranker',
};
