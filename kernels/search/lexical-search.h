// Exact BM25 top-k over posting lists of term frequencies. The specification is bm25Scan in query/bm25.ts. Both
// compute idf * tf / (tf + norm) and add it word by word in double precision, in the same order, so that scores are
// equal in every bit.
#pragma once
#include "../native/simd/vec.h"
#include "search-kernels.h"

INLINE int lexical_better(struct lexical_hit a, struct lexical_hit b) {
  return a.score > b.score || (a.score == b.score && a.rank < b.rank);
}

// The worst hit that is kept is at the root.
#define HEAP(name) lexical_heap_##name
#define HEAP_TYPE struct lexical_hit
#define HEAP_ABOVE(a, b) lexical_better(b, a)
#include "heap.h"

struct lexical_top {
  struct lexical_hit *heap; // [k]
  uint32_t k, size;
  double threshold; // a lower score cannot be kept
};

INLINE void lexical_offer(struct lexical_top *top, struct lexical_hit found) {
  struct lexical_hit *heap = top->heap;
  if (top->size < top->k) {
    lexical_heap_push(heap, top->size++, found);
    if (top->size < top->k) return;
  } else if (lexical_better(found, heap[0])) {
    lexical_heap_sift_down(heap, top->size, 0, found);
  } else {
    return;
  }
  if (heap[0].score > top->threshold) top->threshold = heap[0].score;
}

// scores[count] of the documents from start on.
INLINE void lexical_score_window(const struct lexical_request *request, uint32_t start, uint32_t count,
                                 uint32_t *cursors, double *scores) {
  const struct posting_lists *p = request->lists;
  const uint32_t chunk = start >> CHUNK_BITS, base = start & (CHUNK_DOCS - 1);
  const double *norm = request->norms + start;
  memset(scores, 0, count * sizeof(double));
  for (uint32_t i = 0; i < request->terms; i++) {
    const uint32_t list = request->list_ids[i];
    const double weight = request->idf[i];
    const uint16_t slot = p->dense_slots[list];
    if (slot != NOT_DENSE) {
      const uint8_t *column = p->columns + slot * p->column_stride + start;
      for (uint32_t j = 0; j < count; j++) scores[j] += weight * column[j] / (column[j] + norm[j]);
      continue;
    }
    const uint64_t cell = (uint64_t)list * p->num_chunks + chunk;
    uint32_t at = base == 0 ? p->starts[cell] : cursors[i];
    const uint32_t end = p->starts[cell + 1];
    for (; at < end && p->local_ids[at] < base + LEXICAL_WINDOW_DOCS; at++) {
      // The mask keeps a damaged id inside the window.
      const uint32_t j = (p->local_ids[at] - base) & (LEXICAL_WINDOW_DOCS - 1);
      const double tf = p->values[at];
      scores[j] += weight * tf / (tf + norm[j]);
    }
    cursors[i] = at;
  }
}

// Hits are the documents that share a word with the query.
uint32_t KERNEL(search_lexical)(const struct lexical_request *request, uint32_t *cursors, double *scores) {
  const uint8_t *filter_bits = request->filter_bits;
  const uint32_t num_docs = request->lists->num_docs;
  struct lexical_top top = {request->heap, request->k, 0, request->threshold};
  if (top.k == 0) return 0;
  for (uint32_t start = 0; start < num_docs; start += LEXICAL_WINDOW_DOCS) {
    const uint32_t count = num_docs - start < LEXICAL_WINDOW_DOCS ? num_docs - start : LEXICAL_WINDOW_DOCS;
    lexical_score_window(request, start, count, cursors, scores);
    for (uint32_t j = 0; j < count; j++) {
      if (scores[j] < top.threshold || scores[j] == 0) continue;
      const uint32_t doc = start + j;
      if (filter_bits != NULL && !((filter_bits[doc >> 3] >> (doc & 7)) & 1)) continue;
      lexical_offer(&top, (struct lexical_hit){scores[j], request->ranks[doc], doc});
    }
  }
  lexical_heap_sort(top.heap, top.size);
  return top.size;
}
