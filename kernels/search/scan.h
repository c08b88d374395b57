// The steps of scoring documents term at a time, and the k best of them; shared by the searches.
#pragma once
#include "score-vector.h"
#include "search-kernels.h"

enum {
  FEW = 8,         // accepted documents of a block that are tested one by one
  MAX_DENSE = 256, // dense lists of one query that share a pass; more take further passes
};

// The worst hit that is kept is at the root.
#define HEAP(name) hit_heap_##name
#define HEAP_TYPE struct hit
#define HEAP_ABOVE(a, b) ((a).key < (b).key)
#include "heap.h"

// Groups of documents, and steps of the bisection, of a bound on the k-th best score (kth-bound.h). It is for windows
// before k hits are kept, and where k is not most of the groups.
enum { KTH_GROUPS = 512, KTH_ROUNDS = 14, KTH_MOST = KTH_GROUPS / 2 };

struct top {
  struct hit *heap; // [k]
  uint32_t k, size;
  uint32_t threshold; // a score must exceed this: (k-th best score) - 1; until k hits are kept, that of the request
};

// Nothing below the request's threshold can be a hit.
INLINE struct top top_of(const struct search_request *request) {
  return (struct top){request->heap, request->k, 0, request->threshold > 0 ? request->threshold - 1 : 0};
}

INLINE void offer(struct top *top, uint32_t score, uint32_t rank, uint32_t doc) {
  const struct hit found = {((uint64_t)score << 32) | (uint32_t)~rank, doc};
  if (top->size < top->k) {
    hit_heap_push(top->heap, top->size++, found);
    if (top->size < top->k) return;
  } else if (found.key > top->heap[0].key) {
    hit_heap_sift_down(top->heap, top->size, 0, found);
  } else {
    return;
  }
  const uint32_t worst = (uint32_t)(top->heap[0].key >> 32);
  top->threshold = worst - 1; // worst >= 1: documents without a shared term are never offered
}

// Sorts the hits, best first; returns their number.
INLINE uint32_t sort_hits(struct top *top) {
  hit_heap_sort(top->heap, top->size);
  return top->size;
}

// scores[count] = sum over dense lists of weight * column (add = 0), or the same added to scores (add = 1); n = 0
// clears. Two columns per step: u8 pairs widen to u16 and pmaddwd multiplies them by (weight a, weight b) <=
// MAX_QUERY_WEIGHT.
INLINE void score_dense(uint32_t *scores, uint32_t count, const uint8_t *const *columns, const uint32_t *weights,
                        uint32_t n, int add) {
  const vs zero = vs_zero();
#if defined(__AVX2__)
  const __m128i none = _mm_setzero_si128();
  for (uint32_t i = 0; i < count; i += 32) {
    vs s0 = add ? vs_load(scores + i) : zero, s1 = add ? vs_load(scores + i + 8) : zero;
    vs s2 = add ? vs_load(scores + i + 16) : zero, s3 = add ? vs_load(scores + i + 24) : zero;
    for (uint32_t j = 0; j < n; j += 2) {
      const int pair = j + 1 < n;
      const __m128i *a = (const __m128i *)(columns[j] + i), *b = (const __m128i *)(columns[pair ? j + 1 : j] + i);
      const __m128i a0 = _mm_loadu_si128(a), a1 = _mm_loadu_si128(a + 1);
      const __m128i b0 = pair ? _mm_loadu_si128(b) : none, b1 = pair ? _mm_loadu_si128(b + 1) : none;
      const vs w = vs_set(weights[j] | (pair ? weights[j + 1] << 16 : 0));
#define STEP(s, x) s = _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_cvtepu8_epi16(x), w))
      STEP(s0, _mm_unpacklo_epi8(a0, b0));
      STEP(s1, _mm_unpackhi_epi8(a0, b0));
      STEP(s2, _mm_unpacklo_epi8(a1, b1));
      STEP(s3, _mm_unpackhi_epi8(a1, b1));
#undef STEP
    }
    vs_store(scores + i, s0);
    vs_store(scores + i + 8, s1);
    vs_store(scores + i + 16, s2);
    vs_store(scores + i + 24, s3);
  }
#else
  for (uint32_t i = 0; i < count; i += 16) {
    vs s0 = add ? vs_load(scores + i) : zero, s1 = add ? vs_load(scores + i + 4) : zero;
    vs s2 = add ? vs_load(scores + i + 8) : zero, s3 = add ? vs_load(scores + i + 12) : zero;
    for (uint32_t j = 0; j < n; j += 2) {
      const int pair = j + 1 < n;
      const vs a = vs_load(columns[j] + i), b = pair ? vs_load(columns[j + 1] + i) : zero;
      const vs w = vs_set(weights[j] | (pair ? weights[j + 1] << 16 : 0));
      const vs low = vs_interleave_low8(a, b), high = vs_interleave_high8(a, b);
      s0 = vs_add(s0, vs_madd16(vs_interleave_low8(low, zero), w));
      s1 = vs_add(s1, vs_madd16(vs_interleave_high8(low, zero), w));
      s2 = vs_add(s2, vs_madd16(vs_interleave_low8(high, zero), w));
      s3 = vs_add(s3, vs_madd16(vs_interleave_high8(high, zero), w));
    }
    vs_store(scores + i, s0);
    vs_store(scores + i + 4, s1);
    vs_store(scores + i + 8, s2);
    vs_store(scores + i + 12, s3);
  }
#endif
}

// scores[count] of the documents from start on over the query's dense lists; without dense lists the scores are
// cleared. Returns whether there is a dense list.
INLINE int score_dense_lists(const struct posting_lists *p, const uint32_t *list_ids, const uint32_t *weights,
                             uint32_t n, uint32_t start, uint32_t count, uint32_t *scores) {
  const uint8_t *columns[MAX_DENSE];
  uint32_t dense_weights[MAX_DENSE];
  uint32_t dense = 0;
  int filled = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint16_t slot = p->dense_slots[list_ids[i]];
    if (slot == NOT_DENSE) continue;
    columns[dense] = p->columns + slot * p->column_stride + start;
    dense_weights[dense++] = weights[i];
    if (dense < MAX_DENSE) continue;
    score_dense(scores, count, columns, dense_weights, dense, filled);
    filled = 1;
    dense = 0;
  }
  if (dense > 0 || !filled) score_dense(scores, count, columns, dense_weights, dense, filled);
  return filled || dense > 0;
}

// Whether the time of a search is up; notes it.
INLINE int is_spent(struct time_budget *budget) {
  if (budget->deadline == 0 || budget->clock() <= budget->deadline) return 0;
  budget->complete = 0;
  return 1;
}

// First of the ascending ids [low, high) that is not below id.
INLINE uint32_t lower_bound(const uint16_t *ids, uint32_t low, uint32_t high, uint32_t id) {
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (ids[middle] < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

// First posting in [from, to) with a local id >= stop, by galloping from `from`.
INLINE uint32_t advance(const uint16_t *ids, uint32_t from, uint32_t to, uint32_t stop) {
  uint32_t step = 64, low = from, high = from;
  while (high < to && ids[high] < stop) {
    low = high + 1;
    high = to - high > step ? high + step : to;
    step *= 2;
  }
  return lower_bound(ids, low, high, stop);
}

// Adds weight * value of the postings [from, to), whose local ids lie in [base, base + WINDOW_DOCS), to scores.
// The mask keeps a damaged id inside the window.
INLINE void score_sparse(uint32_t *scores, const uint16_t *ids, const uint8_t *values, uint32_t from, uint32_t to,
                         uint32_t base, uint32_t weight) {
  uint32_t p = from;
  for (; p + 4 <= to; p += 4) {
    scores[(ids[p] - base) & (WINDOW_DOCS - 1)] += weight * values[p];
    scores[(ids[p + 1] - base) & (WINDOW_DOCS - 1)] += weight * values[p + 1];
    scores[(ids[p + 2] - base) & (WINDOW_DOCS - 1)] += weight * values[p + 2];
    scores[(ids[p + 3] - base) & (WINDOW_DOCS - 1)] += weight * values[p + 3];
  }
  for (; p < to; p++) scores[(ids[p] - base) & (WINDOW_DOCS - 1)] += weight * values[p];
}

// Bits of the BLOCK_DOCS documents from start (a multiple of 8) on that may be hits.
INLINE uint64_t accepted_bits(const uint8_t *filter_bits, uint32_t start, uint32_t count) {
  if (filter_bits == NULL) return count < BLOCK_DOCS ? (1ull << count) - 1 : ~0ull;
  uint64_t bits = 0;
  for (uint32_t byte = 0; byte < BLOCK_DOCS / 8 && 8 * byte < count; byte++)
    bits |= (uint64_t)filter_bits[start / 8 + byte] << (8 * byte);
  return count < BLOCK_DOCS ? bits & ((1ull << count) - 1) : bits;
}

// Whether any of the documents start .. start + count - 1 may be a hit.
INLINE int any_accepted(const uint8_t *filter_bits, uint32_t start, uint32_t count) {
  if (filter_bits == NULL) return 1;
  uint8_t any = 0;
  for (uint32_t byte = start / 8; byte < (start + count + 7) / 8; byte++) any |= filter_bits[byte];
  return any != 0;
}

// How many of the documents start .. start + count - 1 may be hits.
INLINE uint32_t count_accepted(const uint8_t *filter_bits, uint32_t start, uint32_t count) {
  uint32_t accepted = 0;
  for (uint32_t i = 0; i < count; i += BLOCK_DOCS)
    accepted += (uint32_t)__builtin_popcountll(accepted_bits(filter_bits, start + i, count - i));
  return accepted;
}

// Whether a bound on the k-th best score of the documents start .. start + count - 1 is worth its time: where a filter
// leaves less than half of them, few are offered.
INLINE int wants_kth_bound(const uint8_t *filter_bits, uint32_t start, uint32_t count, uint32_t k) {
  if (k > KTH_MOST || count < KTH_GROUPS) return 0;
  return filter_bits == NULL || 2 * count_accepted(filter_bits, start, count) >= count;
}

#define BOUND(name) score_##name
#define BOUND_TYPE uint32_t
#define BOUND_COUNT uint32_t
#include "kth-bound.h"

// Raises the threshold to what k documents of the window start .. start + count - 1 reach.
INLINE void raise_threshold(struct top *top, uint32_t *scores, uint32_t start, uint32_t count,
                            const uint8_t *filter_bits) {
  if (top->size == top->k || !wants_kth_bound(filter_bits, start, count, top->k)) return;
  if (filter_bits != NULL) score_clear_rejected(scores, filter_bits, start, count);
  const uint32_t bound = score_kth(scores, count, top->k);
  if (bound > top->threshold + 1) top->threshold = bound - 1;
}

// Offers the documents start .. start + count - 1 whose score exceeds top->threshold. Whole blocks are tested at once,
// because after the first windows hardly any block holds a candidate.
INLINE void collect(struct top *top, const uint32_t *scores, uint32_t start, uint32_t count, const uint8_t *filter_bits,
                    const uint32_t *ranks) {
  for (uint32_t i = 0; i < count; i += BLOCK_DOCS) {
    uint64_t wanted = ~0ull;
    if (filter_bits != NULL) {
      wanted = accepted_bits(filter_bits, start + i, count - i);
      // A few documents are tested one by one: a filter keeps the threshold low, so that most blocks hold a candidate.
      if (__builtin_popcountll(wanted) <= FEW) {
        uint32_t threshold = top->threshold;
        for (; wanted; wanted &= wanted - 1) {
          const uint32_t at = i + (uint32_t)__builtin_ctzll(wanted);
          if (scores[at] <= threshold) continue;
          offer(top, scores[at], ranks[start + at], start + at);
          threshold = top->threshold;
        }
        continue;
      }
    }
    const vs threshold = vs_set(top->threshold);
    vs any = vs_greater(vs_load(scores + i), threshold);
    for (uint32_t j = SCORES; j < BLOCK_DOCS; j += SCORES)
      any = vs_or(any, vs_greater(vs_load(scores + i + j), threshold));
    if (vs_mask(any) == 0) continue;
    for (uint32_t j = 0; j < BLOCK_DOCS; j += SCORES) {
      unsigned mask = vs_mask(vs_greater(vs_load(scores + i + j), vs_set(top->threshold))) & (unsigned)(wanted >> j);
      for (; mask; mask &= mask - 1) {
        const uint32_t at = i + j + (uint32_t)__builtin_ctz(mask);
        if (at < count && scores[at] > top->threshold) offer(top, scores[at], ranks[start + at], start + at);
      }
    }
  }
}
