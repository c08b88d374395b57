// Exact top-k over posting lists by windowed term-at-a-time scoring. The specification is query/exact-scan.ts. Scores
// are integers below 2^31, so every instruction set gives the same bits.
#pragma once
#include "scan.h"

// Hits are the documents that share a term with the query.
uint32_t KERNEL(search_exact)(const struct search_request *request, uint32_t *cursors, uint32_t *scores,
                              struct time_budget *budget) {
  const struct posting_lists *p = request->lists;
  const uint32_t *list_ids = request->list_ids, *weights = request->weights;
  const uint32_t n = request->terms;
  const uint8_t *filter_bits = request->filter_bits;
  struct top top = top_of(request);
  if (top.k == 0) return 0;
  // Set when the previous window was skipped: the cursors must be advanced before they are used.
  int skipped = 0;
  for (uint32_t start = 0; start < p->num_docs; start += WINDOW_DOCS) {
    if (start > 0 && is_spent(budget)) break;
    const uint32_t count = p->num_docs - start < WINDOW_DOCS ? p->num_docs - start : WINDOW_DOCS;
    const uint32_t padded = (count + BLOCK_DOCS - 1) & ~(uint32_t)(BLOCK_DOCS - 1);
    const uint32_t chunk = start >> CHUNK_BITS, base = start & (CHUNK_DOCS - 1);
    if (base == 0) skipped = 0;
    if (!any_accepted(filter_bits, start, count)) {
      if (base == 0)
        for (uint32_t i = 0; i < n; i++) cursors[i] = p->starts[(uint64_t)list_ids[i] * p->num_chunks + chunk];
      skipped = 1;
      continue;
    }
    int touched = score_dense_lists(p, list_ids, weights, n, start, padded, scores);
    for (uint32_t i = 0; i < n; i++) {
      if (p->dense_slots[list_ids[i]] != NOT_DENSE) continue;
      const uint64_t cell = (uint64_t)list_ids[i] * p->num_chunks + chunk;
      uint32_t from = base == 0 ? p->starts[cell] : cursors[i];
      if (skipped) from = advance(p->local_ids, from, p->starts[cell + 1], base);
      const uint32_t to = advance(p->local_ids, from, p->starts[cell + 1], base + WINDOW_DOCS);
      score_sparse(scores, p->local_ids, p->values, from, to, base, weights[i]);
      cursors[i] = to;
      touched |= to > from;
    }
    skipped = 0;
    if (!touched) continue;
    raise_threshold(&top, scores, start, count, filter_bits);
    collect(&top, scores, start, count, filter_bits, request->ranks);
  }
  return sort_hits(&top);
}
