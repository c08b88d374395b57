// Exact BM25 top-k over posting lists of term frequencies. Called by ../search.c. The specification is bm25Scan in
// query/bm25.ts; both compute idf * tf / (tf + norm) and add it word by word in double precision, in the same order, so
// that scores are equal in every bit.
#include "../posting-lists.h"
#include "vec.h"

struct lexical_top {
  struct lexical_hit *heap; // [k], the worst hit at the root once full
  uint32_t k, size;
  double threshold; // a lower score cannot be kept
};

// Better hits come first: higher scores, equal ones by smaller rank.
INLINE int lexical_better(struct lexical_hit a, struct lexical_hit b) {
  return a.score > b.score || (a.score == b.score && a.rank < b.rank);
}

INLINE void lexical_sift_down(struct lexical_hit *heap, uint32_t size, uint32_t at, struct lexical_hit moving) {
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && lexical_better(heap[child], heap[child + 1])) child++;
    if (!lexical_better(moving, heap[child])) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = moving;
}

INLINE void lexical_offer(struct lexical_top *top, struct lexical_hit found) {
  struct lexical_hit *heap = top->heap;
  if (top->size < top->k) {
    uint32_t at = top->size++;
    for (; at > 0 && lexical_better(heap[(at - 1) / 2], found); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = found;
    if (top->size < top->k) return;
  } else if (lexical_better(found, heap[0])) {
    lexical_sift_down(heap, top->size, 0, found);
  } else {
    return;
  }
  if (heap[0].score > top->threshold) top->threshold = heap[0].score;
}

// Top-k of the documents that share a word with the query.
//   lists, idf  [n] list numbers and weights
//   norms       [num_docs] k1 * (1 - b + b * length / average)
//   cursors     [n] scratch;  scores  [LEXICAL_WINDOW] scratch
//   accept      bit a document, or NULL for all
//   ranks       [num_docs] tie-break, smaller first
//   heap        [k] receives the hits, best first
//   threshold   a score that at least k accepted documents reach, or 0
// Returns the number of hits.
enum { LEXICAL_WINDOW = 4096 }; // 32 KB of accumulators stay in the first-level cache; divides a chunk

uint32_t KERNEL(search_lexical)(const struct posting_lists *p, const uint32_t *lists, const double *idf, uint32_t n,
                                const double *norms, uint32_t *cursors, double *scores, const uint8_t *accept,
                                const uint32_t *ranks, struct lexical_hit *heap, uint32_t k, double threshold) {
  struct lexical_top top = {heap, k, 0, threshold};
  if (k == 0) return 0;
  for (uint32_t start = 0; start < p->num_docs; start += LEXICAL_WINDOW) {
    const uint32_t count = p->num_docs - start < LEXICAL_WINDOW ? p->num_docs - start : LEXICAL_WINDOW;
    const uint32_t chunk = start >> 16, base = start & 0xffff;
    const double *norm = norms + start;
    memset(scores, 0, count * sizeof(double));
    for (uint32_t i = 0; i < n; i++) {
      const double weight = idf[i];
      const uint16_t slot = p->dense_slots[lists[i]];
      if (slot != 0xffff) {
        const uint8_t *column = p->columns + slot * p->column_stride + start;
        for (uint32_t j = 0; j < count; j++) scores[j] += weight * column[j] / (column[j] + norm[j]);
        continue;
      }
      const uint64_t cell = (uint64_t)lists[i] * p->num_chunks + chunk;
      uint32_t at = base == 0 ? p->starts[cell] : cursors[i];
      const uint32_t end = p->starts[cell + 1];
      for (; at < end && p->local_ids[at] < base + LEXICAL_WINDOW; at++) {
        const uint32_t j = (p->local_ids[at] - base) & (LEXICAL_WINDOW - 1);
        const double tf = p->values[at];
        scores[j] += weight * tf / (tf + norm[j]);
      }
      cursors[i] = at;
    }
    for (uint32_t j = 0; j < count; j++) {
      if (scores[j] < top.threshold || scores[j] == 0) continue;
      const uint32_t doc = start + j;
      if (accept != NULL && !((accept[doc >> 3] >> (doc & 7)) & 1)) continue;
      lexical_offer(&top, (struct lexical_hit){scores[j], ranks[doc], doc});
    }
  }
  // Heap sort: the worst hit goes to the end, and so on.
  for (uint32_t size = top.size; size > 1; size--) {
    const struct lexical_hit last = heap[size - 1];
    heap[size - 1] = heap[0];
    lexical_sift_down(heap, size - 1, 0, last);
  }
  return top.size;
}
