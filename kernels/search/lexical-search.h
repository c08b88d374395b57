// Exact BM25 top-k over posting lists of term frequencies. The specification is bm25Scan in query/bm25.ts. Both
// compute idf * saturation(tf, norm) and add it word by word in double precision, in the same order, so that scores are
// equal in every bit.
#pragma once
#include "scan.h"

// Scores that are compared with the threshold at once.
enum { LEXICAL_GROUP = 16 };

// Bit j: scores[j] is at least the threshold, of a group.
INLINE unsigned lexical_reached(const double *scores, double threshold) {
#if defined(VARIANT_VNNI)
  const __m512d least = _mm512_set1_pd(threshold);
  return (unsigned)_mm512_cmp_pd_mask(_mm512_loadu_pd(scores), least, _CMP_GE_OQ) |
         (unsigned)_mm512_cmp_pd_mask(_mm512_loadu_pd(scores + 8), least, _CMP_GE_OQ) << 8;
#elif defined(__AVX2__)
  const __m256d least = _mm256_set1_pd(threshold);
  unsigned mask = 0;
  for (uint32_t j = 0; j < LEXICAL_GROUP; j += 4)
    mask |= (unsigned)_mm256_movemask_pd(_mm256_cmp_pd(_mm256_loadu_pd(scores + j), least, _CMP_GE_OQ)) << j;
  return mask;
#else
  int any = 0;
  for (uint32_t j = 0; j < LEXICAL_GROUP; j++) any |= scores[j] >= threshold;
  unsigned mask = 0;
  for (uint32_t j = 0; any && j < LEXICAL_GROUP; j++) mask |= (unsigned)(scores[j] >= threshold) << j;
  return mask;
#endif
}

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

// Where the document of a posting is in the window that begins at base. The mask keeps a damaged id inside the window.
INLINE uint32_t lexical_place(const struct posting_lists *p, uint32_t at, uint32_t base) {
  return (p->local_ids[at] - base) & (LEXICAL_WINDOW_DOCS - 1);
}

INLINE int lexical_is_dense(const struct lexical_request *request, uint32_t i) {
  return request->lists->dense_slots[request->list_ids[i]] != NOT_DENSE;
}

// Sets ranges[terms] to the postings of the documents from start on, up to the end of the window; dense lists have none.
// The ranges of the window before it are the place to go on from.
INLINE void lexical_enter_window(const struct lexical_request *request, uint32_t start, struct cursor *ranges) {
  const struct posting_lists *p = request->lists;
  const uint32_t chunk = start >> CHUNK_BITS, base = start & (CHUNK_DOCS - 1);
  for (uint32_t i = 0; i < request->terms; i++) {
    const uint32_t list = request->list_ids[i];
    if (lexical_is_dense(request, i)) continue;
    const uint64_t cell = (uint64_t)list * p->num_chunks + chunk;
    ranges[i].from = base == 0 ? p->starts[cell] : ranges[i].to;
    ranges[i].to = advance(p->local_ids, ranges[i].from, p->starts[cell + 1], base + LEXICAL_WINDOW_DOCS);
  }
}

// In f32: rounded alike everywhere, and twice as many fit in a vector.
INLINE double lexical_saturation(float tf, float norm) { return (double)(tf / (tf + norm)); }

// Adds what word i is worth to scores[count] of the documents from start on.
INLINE void lexical_add(const struct lexical_request *request, uint32_t i, struct cursor range, uint32_t start,
                        uint32_t count, double *scores) {
  const struct posting_lists *p = request->lists;
  const uint32_t base = start & (CHUNK_DOCS - 1);
  const float *norm = request->norms + start;
  const double weight = request->idf[i];
  const uint16_t slot = p->dense_slots[request->list_ids[i]];
  if (slot != NOT_DENSE) {
    const uint8_t *column = p->columns + slot * p->column_stride + start;
    for (uint32_t j = 0; j < count; j++) scores[j] += weight * lexical_saturation(column[j], norm[j]);
    return;
  }
  for (uint32_t at = range.from; at < range.to; at++) {
    const uint32_t j = lexical_place(p, at, base);
    scores[j] += weight * lexical_saturation(p->values[at], norm[j]);
  }
}

// What word i is worth to document start + j.
INLINE double lexical_contribution(const struct lexical_request *request, const struct cursor *ranges, uint32_t i,
                                   uint32_t start, uint32_t j) {
  const struct posting_lists *p = request->lists;
  const uint16_t slot = p->dense_slots[request->list_ids[i]];
  float tf;
  if (slot != NOT_DENSE) {
    tf = p->columns[slot * p->column_stride + start + j];
  } else {
    const uint32_t local = (start & (CHUNK_DOCS - 1)) + j;
    const uint32_t at = lower_bound(p->local_ids, ranges[i].from, ranges[i].to, local);
    if (at == ranges[i].to || p->local_ids[at] != local) return 0;
    tf = p->values[at];
  }
  return request->idf[i] * lexical_saturation(tf, request->norms[start + j]);
}

INLINE void lexical_offer_document(const struct lexical_request *request, struct lexical_top *top, double score,
                                   uint32_t doc) {
  const uint8_t *filter_bits = request->filter_bits;
  if (score < top->threshold || score == 0) return;
  if (filter_bits != NULL && !((filter_bits[doc >> 3] >> (doc & 7)) & 1)) return;
  lexical_offer(top, (struct lexical_hit){score, request->ranks[doc], doc});
}

#define BOUND(name) lexical_##name
#define BOUND_TYPE double
#define BOUND_COUNT uint64_t
#include "kth-bound.h"

INLINE void lexical_raise_threshold(const struct lexical_request *request, double *scores, uint32_t start, uint32_t count,
                                    struct lexical_top *top) {
  const uint8_t *filter_bits = request->filter_bits;
  if (top->size == top->k || !wants_kth_bound(filter_bits, start, count, top->k)) return;
  if (filter_bits != NULL) lexical_clear_rejected(scores, filter_bits, start, count);
  const double bound = lexical_kth(scores, count, top->k);
  if (bound > top->threshold) top->threshold = bound;
}

INLINE void lexical_scan_window(const struct lexical_request *request, const struct lexical_scratch *scratch,
                                uint32_t start, uint32_t count, struct lexical_top *top) {
  double *scores = scratch->scores;
  for (uint32_t i = 0; i < request->terms; i++) lexical_add(request, i, scratch->ranges[i], start, count, scores);
  lexical_raise_threshold(request, scores, start, count, top);
  // After the first windows hardly any group holds a candidate. Past `count` all scores are 0.
  for (uint32_t group = 0; group < count; group += LEXICAL_GROUP)
    for (unsigned mask = lexical_reached(scores + group, top->threshold); mask; mask &= mask - 1) {
      const uint32_t j = group + (uint32_t)__builtin_ctz(mask);
      lexical_offer_document(request, top, scores[j], start + j);
    }
  memset(scores, 0, count * sizeof(double));
}

// Sums in another order, and of rounded summands, differ by far less than this from each other.
static const double LEXICAL_SLACK = 1 + 1e-9;

// To look a posting up takes as long as to pass so many; of a dense list so many documents are passed in the time of one.
// A pruned window passes the postings of its essential words some three times.
enum { LOOKUP_COST = 16, DENSE_SAVING = 4, READ_TWICE = 3 };

INLINE int lexical_reaches(const struct lexical_top *top, double bound) {
  return bound * LEXICAL_SLACK >= top->threshold;
}

// Offers document start + j, to whose score the essential words add `known`, unless a bound shows that it is no hit. The
// score is added up in the order of the query, as in a scan.
INLINE void lexical_consider(const struct lexical_request *request, const struct lexical_scratch *scratch,
                             uint32_t essential, double known, uint32_t start, uint32_t j, struct lexical_top *top) {
  for (uint32_t n = essential; n > 0; n--) {
    if (!lexical_reaches(top, known + scratch->bounds[n])) return;
    known += lexical_contribution(request, scratch->ranges, scratch->order[n - 1], start, j);
  }
  if (!lexical_reaches(top, known)) return;
  double score = 0;
  for (uint32_t i = 0; i < request->terms; i++)
    score += lexical_contribution(request, scratch->ranges, i, start, j);
  lexical_offer_document(request, top, score, start + j);
}

// The cost of the words order[from .. to - 1] in a window, in postings that are passed.
INLINE uint64_t lexical_size(const struct lexical_request *request, const struct lexical_scratch *scratch,
                             uint32_t from, uint32_t to, uint32_t count) {
  uint64_t size = 0;
  for (uint32_t n = from; n < to; n++) {
    const struct cursor range = scratch->ranges[scratch->order[n]];
    size += lexical_is_dense(request, scratch->order[n]) ? count / DENSE_SAVING : range.to - range.from;
  }
  return size;
}

// The hits of a window from the lists of the words order[essential ..] alone: a document without any of them scores less
// than the threshold. Returns 0, with nothing done, where a scan costs less: to look a document up takes longer than to
// pass it, and dense lists are no place to find documents in.
INLINE int lexical_prune_window(const struct lexical_request *request, const struct lexical_scratch *scratch,
                                uint32_t essential, uint32_t start, uint32_t count, struct lexical_top *top) {
  const uint32_t base = start & (CHUNK_DOCS - 1), terms = request->terms;
  const double others = scratch->bounds[essential];
  double *scores = scratch->scores;
  for (uint32_t n = essential; n < terms; n++)
    if (lexical_is_dense(request, scratch->order[n])) return 0;
  const uint64_t own = lexical_size(request, scratch, essential, terms, count);
  const uint64_t scan = count / DENSE_SAVING + own + lexical_size(request, scratch, 0, essential, count);
  if (own * READ_TWICE > scan) return 0;
  for (uint32_t n = essential; n < terms; n++)
    lexical_add(request, scratch->order[n], scratch->ranges[scratch->order[n]], start, count, scores);
  uint64_t candidates = 0;
#define EACH_ESSENTIAL_DOCUMENT                                                                                        \
  for (uint32_t n = essential; n < terms; n++)                                                                         \
    for (uint32_t at = scratch->ranges[scratch->order[n]].from, j; at < scratch->ranges[scratch->order[n]].to; at++)    \
      if ((j = lexical_place(request->lists, at, base)), 1)
  EACH_ESSENTIAL_DOCUMENT candidates += lexical_reaches(top, scores[j] + others);
  if (candidates * LOOKUP_COST * essential > scan) {
    EACH_ESSENTIAL_DOCUMENT scores[j] = 0;
    return 0;
  }
  EACH_ESSENTIAL_DOCUMENT {
    const double known = scores[j];
    if (known == 0) continue;
    scores[j] = 0;
    if (lexical_reaches(top, known + others)) lexical_consider(request, scratch, essential, known, start, j, top);
  }
#undef EACH_ESSENTIAL_DOCUMENT
  return 1;
}

// Offers the accepted documents of a window one by one. Returns 0, with nothing done, where they are so many that a scan
// costs less.
INLINE int lexical_look_up_window(const struct lexical_request *request, const struct lexical_scratch *scratch,
                                  uint32_t start, uint32_t count, struct lexical_top *top) {
  const uint32_t terms = request->terms;
  const uint64_t accepted = count_accepted(request->filter_bits, start, count);
  const uint64_t scan = count / DENSE_SAVING + lexical_size(request, scratch, 0, terms, count);
  if (accepted * terms * LOOKUP_COST > scan) return 0;
  for (uint32_t j = 0; j < count; j += BLOCK_DOCS) {
    uint64_t bits = accepted_bits(request->filter_bits, start + j, count - j);
    for (; bits; bits &= bits - 1) {
      const uint32_t at = j + (uint32_t)__builtin_ctzll(bits);
      double score = 0;
      for (uint32_t i = 0; i < terms; i++) score += lexical_contribution(request, scratch->ranges, i, start, at);
      lexical_offer_document(request, top, score, start + at);
    }
  }
  return 1;
}

// order: the words by ascending idf; bounds[n]: more than the first n of them together can add to a score, since a word
// adds less than its idf.
INLINE void lexical_order_words(const struct lexical_request *request, const struct lexical_scratch *scratch) {
  uint32_t *order = scratch->order;
  const double *idf = request->idf;
  for (uint32_t n = 0; n < request->terms; n++) {
    uint32_t at = n;
    for (; at > 0 && idf[order[at - 1]] > idf[n]; at--) order[at] = order[at - 1];
    order[at] = n;
  }
  scratch->bounds[0] = 0;
  for (uint32_t n = 0; n < request->terms; n++) scratch->bounds[n + 1] = scratch->bounds[n] + idf[order[n]];
}

// Hits are the documents that share a word with the query. Words whose idf together stays below the k-th best score
// select no document (MaxScore: Turtle, Flood, "Query Evaluation: Strategies and Optimizations", 1995).
uint32_t KERNEL(search_lexical)(const struct lexical_request *request, const struct lexical_scratch *scratch,
                                struct time_budget *budget) {
  const uint32_t num_docs = request->lists->num_docs, terms = request->terms;
  struct lexical_top top = {request->heap, request->k, 0, request->threshold};
  uint32_t essential = 0;
  if (top.k == 0) return 0;
  lexical_order_words(request, scratch);
  memset(scratch->scores, 0, LEXICAL_WINDOW_DOCS * sizeof(double));
  for (uint32_t start = 0; start < num_docs; start += LEXICAL_WINDOW_DOCS) {
    if (start > 0 && is_spent(budget)) break;
    const uint32_t count = num_docs - start < LEXICAL_WINDOW_DOCS ? num_docs - start : LEXICAL_WINDOW_DOCS;
    while (essential < terms && scratch->bounds[essential + 1] * LEXICAL_SLACK < top.threshold) essential++;
    if (essential == terms) break;
    lexical_enter_window(request, start, scratch->ranges);
    if (request->filter_bits != NULL && lexical_look_up_window(request, scratch, start, count, &top)) continue;
    if (essential > 0 && lexical_prune_window(request, scratch, essential, start, count, &top)) continue;
    lexical_scan_window(request, scratch, start, count, &top);
  }
  lexical_heap_sort(top.heap, top.size);
  return top.size;
}
