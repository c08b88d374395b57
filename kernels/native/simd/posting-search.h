// Exact top-k over posting lists by windowed term-at-a-time scoring. Called by ../search.c (Node-API) and
// ../../wasm/search.c. The specification is query/exact-scan.ts; scores are integers below 2^31, so every build gives
// the same bits.
#include "../posting-lists.h"
#include "vec.h"

#if defined(__AVX2__)
typedef __m256i vs; // 8 scores
#define SCORES 8
#define vs_load(p) _mm256_loadu_si256((const __m256i *)(p))
#define vs_store(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define vs_zero() _mm256_setzero_si256()
#define vs_set(x) _mm256_set1_epi32((int)(x))
#define vs_greater(a, b) _mm256_cmpgt_epi32(a, b)
#define vs_or(a, b) _mm256_or_si256(a, b)
#define vs_mask(v) ((unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(v)))
#elif defined(__SSE2__)
#include <emmintrin.h>
typedef __m128i vs; // 4 scores
#define SCORES 4
#define vs_load(p) _mm_loadu_si128((const __m128i *)(p))
#define vs_store(p, v) _mm_storeu_si128((__m128i *)(p), v)
#define vs_zero() _mm_setzero_si128()
#define vs_set(x) _mm_set1_epi32((int)(x))
#define vs_greater(a, b) _mm_cmpgt_epi32(a, b)
#define vs_or(a, b) _mm_or_si128(a, b)
#define vs_mask(v) ((unsigned)_mm_movemask_ps(_mm_castsi128_ps(v)))
#define vs_add(a, b) _mm_add_epi32(a, b)
#define vs_interleave_low8(a, b) _mm_unpacklo_epi8(a, b)
#define vs_interleave_high8(a, b) _mm_unpackhi_epi8(a, b)
#define vs_madd16(a, b) _mm_madd_epi16(a, b)
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
typedef v128_t vs;
#define SCORES 4
#define vs_load(p) wasm_v128_load(p)
#define vs_store(p, v) wasm_v128_store(p, v)
#define vs_zero() wasm_i32x4_splat(0)
#define vs_set(x) wasm_i32x4_splat((int)(x))
#define vs_greater(a, b) wasm_i32x4_gt(a, b)
#define vs_or(a, b) wasm_v128_or(a, b)
#define vs_mask(v) ((unsigned)wasm_i32x4_bitmask(v))
#define vs_add(a, b) wasm_i32x4_add(a, b)
#define vs_interleave_low8(a, b) wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define vs_interleave_high8(a, b) wasm_i8x16_shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define vs_madd16(a, b) wasm_i32x4_dot_i16x8(a, b)
#elif defined(__aarch64__)
#include <arm_neon.h>
typedef uint8x16_t vs;
#define SCORES 4
#define vs_load(p) vld1q_u8((const uint8_t *)(p))
#define vs_store(p, v) vst1q_u8((uint8_t *)(p), v)
#define vs_zero() vdupq_n_u8(0)
#define vs_set(x) vreinterpretq_u8_u32(vdupq_n_u32(x))
#define vs_greater(a, b) vreinterpretq_u8_u32(vcgtq_s32(vreinterpretq_s32_u8(a), vreinterpretq_s32_u8(b)))
#define vs_or(a, b) vorrq_u8(a, b)
INLINE unsigned vs_mask(vs v) {
  static const uint32_t bits[4] = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(vreinterpretq_u32_u8(v), vld1q_u32(bits)));
}
#define vs_add(a, b) vreinterpretq_u8_u32(vaddq_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)))
#define vs_interleave_low8(a, b) vzip1q_u8(a, b)
#define vs_interleave_high8(a, b) vzip2q_u8(a, b)
INLINE vs vs_madd16(vs a, vs b) {
  const int16x8_t x = vreinterpretq_s16_u8(a), y = vreinterpretq_s16_u8(b);
  const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
  return vreinterpretq_u8_s32(vpaddq_s32(low, high));
}
#else
#error "posting kernels need SSE2, NEON or WebAssembly SIMD"
#endif

enum {
  BLOCK = 64, // documents per step of the dense pass and the scan; windows and columns are padded to it
  WINDOW = 8192,      // documents scored at a time: 32 KB of u32 accumulators stay in the first-level cache
  NOT_DENSE = 0xffff, // as in indexer/posting-lists.ts
  FEW = 8,            // accepted documents of a block that are looked at one by one
  MAX_DENSE = 256,    // dense lists of one query that share a pass; more take further passes
};

struct top {
  struct hit *heap; // [k], the worst hit at the root once full
  uint32_t k, size;
  uint32_t below; // a score must exceed this to be looked at: (k-th best score) - 1, 0 while not full
};

INLINE void sift_down(struct hit *heap, uint32_t size, uint32_t at, struct hit moving) {
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && heap[child + 1].key < heap[child].key) child++;
    if (heap[child].key >= moving.key) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = moving;
}

INLINE void offer(struct top *top, uint32_t score, uint32_t rank, uint32_t doc) {
  const struct hit found = {((uint64_t)score << 32) | (uint32_t)~rank, doc};
  if (top->size < top->k) {
    uint32_t at = top->size++;
    while (at > 0 && top->heap[(at - 1) / 2].key > found.key) {
      top->heap[at] = top->heap[(at - 1) / 2];
      at = (at - 1) / 2;
    }
    top->heap[at] = found;
    if (top->size < top->k) return;
  } else if (found.key > top->heap[0].key) {
    sift_down(top->heap, top->size, 0, found);
  } else {
    return;
  }
  const uint32_t worst = (uint32_t)(top->heap[0].key >> 32);
  top->below = worst - 1; // worst >= 1: documents without a shared term are never offered
}

// scores[count] = sum over dense lists of weight * column (add = 0), or the same added to scores (add = 1); n = 0 clears.
// Two columns a step: u8 pairs widen to u16 and pmaddwd multiplies them with (weight a, weight b) < 32,768.
INLINE void score_dense(uint32_t *scores, uint32_t count, const uint8_t *const *columns, const uint32_t *weights, uint32_t n,
                        int add) {
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

// scores[count] of the documents from start on over the query's dense lists; clears them where there is none. Returns
// whether there is one.
INLINE int score_dense_lists(const struct posting_lists *p, const uint32_t *lists, const uint32_t *weights, uint32_t n,
                             uint32_t start, uint32_t count, uint32_t *scores) {
  const uint8_t *columns[MAX_DENSE];
  uint32_t dense_weights[MAX_DENSE];
  uint32_t dense = 0;
  int filled = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint16_t slot = p->dense_slots[lists[i]];
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

// First posting in [from, to) with a local id >= stop, by galloping from `from`.
INLINE uint32_t advance(const uint16_t *ids, uint32_t from, uint32_t to, uint32_t stop) {
  uint32_t step = 64, low = from, high = from;
  while (high < to && ids[high] < stop) {
    low = high + 1;
    high = to - high > step ? high + step : to;
    step *= 2;
  }
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (ids[middle] < stop) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Adds weight * value of the postings [from, to), whose local ids lie in [base, base + WINDOW), to scores.
// The mask keeps a damaged id inside the window.
INLINE void score_sparse(uint32_t *scores, const uint16_t *ids, const uint8_t *values, uint32_t from, uint32_t to,
                                uint32_t base, uint32_t weight) {
  uint32_t p = from;
  for (; p + 4 <= to; p += 4) {
    scores[(ids[p] - base) & (WINDOW - 1)] += weight * values[p];
    scores[(ids[p + 1] - base) & (WINDOW - 1)] += weight * values[p + 1];
    scores[(ids[p + 2] - base) & (WINDOW - 1)] += weight * values[p + 2];
    scores[(ids[p + 3] - base) & (WINDOW - 1)] += weight * values[p + 3];
  }
  for (; p < to; p++) scores[(ids[p] - base) & (WINDOW - 1)] += weight * values[p];
}

// Bits of the BLOCK documents from start (a multiple of 8) on that may be hits.
INLINE uint64_t accepted_bits(const uint8_t *accept, uint32_t start, uint32_t count) {
  if (accept == NULL) return count < BLOCK ? (1ull << count) - 1 : ~0ull;
  uint64_t bits = 0;
  for (uint32_t byte = 0; byte < BLOCK / 8 && 8 * byte < count; byte++) bits |= (uint64_t)accept[start / 8 + byte] << (8 * byte);
  return count < BLOCK ? bits & ((1ull << count) - 1) : bits;
}

// Whether any of the documents start .. start + count - 1 may be a hit.
INLINE int any_accepted(const uint8_t *accept, uint32_t start, uint32_t count) {
  if (accept == NULL) return 1;
  uint8_t any = 0;
  for (uint32_t byte = start / 8; byte < (start + count + 7) / 8; byte++) any |= accept[byte];
  return any != 0;
}

// Offers the documents start .. start + count - 1 whose score exceeds top->below. Whole blocks are tested at once: after the
// first windows hardly any holds a candidate.
INLINE void collect(struct top *top, const uint32_t *scores, uint32_t start, uint32_t count, const uint8_t *accept,
                    const uint32_t *ranks) {
  for (uint32_t i = 0; i < count; i += BLOCK) {
    uint64_t wanted = ~0ull;
    if (accept != NULL) {
      wanted = accepted_bits(accept, start + i, count - i);
      // Few documents are looked at one by one: a filter keeps the threshold low, so that most blocks hold a candidate.
      if (__builtin_popcountll(wanted) <= FEW) {
        for (; wanted; wanted &= wanted - 1) {
          const uint32_t at = i + (uint32_t)__builtin_ctzll(wanted);
          if (scores[at] > top->below) offer(top, scores[at], ranks[start + at], start + at);
        }
        continue;
      }
    }
    const vs below = vs_set(top->below);
    vs any = vs_greater(vs_load(scores + i), below);
    for (uint32_t j = SCORES; j < BLOCK; j += SCORES) any = vs_or(any, vs_greater(vs_load(scores + i + j), below));
    if (vs_mask(any) == 0) continue;
    for (uint32_t j = 0; j < BLOCK; j += SCORES) {
      unsigned mask = vs_mask(vs_greater(vs_load(scores + i + j), vs_set(top->below))) & (unsigned)(wanted >> j);
      for (; mask; mask &= mask - 1) {
        const uint32_t at = i + j + (uint32_t)__builtin_ctz(mask);
        if (at < count && scores[at] > top->below) offer(top, scores[at], ranks[start + at], start + at);
      }
    }
  }
}

// Puts the kept hits in order, best first (heap sort: the worst goes to the end, and so on).
INLINE uint32_t sort_hits(struct top *top) {
  struct hit *heap = top->heap;
  for (uint32_t size = top->size; size > 1; size--) {
    const struct hit last = heap[size - 1];
    heap[size - 1] = heap[0];
    sift_down(heap, size - 1, 0, last);
  }
  return top->size;
}

// Exact top-k of the documents that share a term with the query.
//   lists, weights  [n] list numbers and weights 1..32,767
//   cursors         [n] scratch
//   scores          [WINDOW] scratch
//   accept          bit a document, or NULL for all
//   ranks           [num_docs] tie-break, smaller first
//   heap            [k] receives the hits, best first
//   threshold       a score that at least k accepted documents reach, or 0
// Returns the number of hits.
uint32_t KERNEL(search_exact)(const struct posting_lists *p, const uint32_t *lists, const uint32_t *weights, uint32_t n,
                             uint32_t *cursors, uint32_t *scores, const uint8_t *accept, const uint32_t *ranks,
                             struct hit *heap, uint32_t k, uint32_t threshold) {
  struct top top = {heap, k, 0, threshold > 0 ? threshold - 1 : 0};
  if (k == 0) return 0;
  int passed_over = 0; // whether the cursors stand before the window, because no document of the one before it was wanted
  for (uint32_t start = 0; start < p->num_docs; start += WINDOW) {
    const uint32_t count = p->num_docs - start < WINDOW ? p->num_docs - start : WINDOW;
    const uint32_t padded = (count + BLOCK - 1) & ~(uint32_t)(BLOCK - 1);
    const uint32_t chunk = start >> 16, base = start & 0xffff;
    if (base == 0) passed_over = 0;
    if (!any_accepted(accept, start, count)) {
      if (base == 0)
        for (uint32_t i = 0; i < n; i++) cursors[i] = p->starts[(uint64_t)lists[i] * p->num_chunks + chunk];
      passed_over = 1;
      continue;
    }
    int touched = score_dense_lists(p, lists, weights, n, start, padded, scores);
    for (uint32_t i = 0; i < n; i++) {
      if (p->dense_slots[lists[i]] != NOT_DENSE) continue;
      const uint64_t cell = (uint64_t)lists[i] * p->num_chunks + chunk;
      uint32_t from = base == 0 ? p->starts[cell] : cursors[i];
      if (passed_over) from = advance(p->local_ids, from, p->starts[cell + 1], base);
      const uint32_t to = advance(p->local_ids, from, p->starts[cell + 1], base + WINDOW);
      score_sparse(scores, p->local_ids, p->values, from, to, base, weights[i]);
      cursors[i] = to;
      touched |= to > from;
    }
    passed_over = 0;
    if (touched) collect(&top, scores, start, count, accept, ranks);
  }
  return sort_hits(&top);
}

enum {
  SUPERBLOCK = 1024, // documents; BLOCKS blocks of BLOCK
  BLOCKS = SUPERBLOCK / BLOCK,
  NO_SUMMARY = 0xffff, // as in indexer/block-maxima.ts
};

// First of the ascending ids [low, high) that is not below id.
INLINE uint32_t lower_bound(const uint16_t *ids, uint32_t low, uint32_t high, uint32_t id) {
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (ids[middle] < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

// bounds[s] = sum over lists of weight * largest value in superblock s.
INLINE void bound_superblocks(const struct posting_lists *p, const struct block_maxima *m, const uint32_t *lists,
                              const uint32_t *weights, uint32_t n, uint32_t *bounds, uint32_t superblocks) {
  for (uint32_t s = 0; s < superblocks; s++) bounds[s] = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t weight = weights[i];
    const uint16_t column = p->dense_slots[lists[i]], slot = m->slots[lists[i]];
    if (column != NOT_DENSE) {
      const uint8_t *maxima = m->super_columns + column * m->super_stride;
      for (uint32_t s = 0; s < superblocks; s++) bounds[s] += weight * maxima[s];
    } else if (slot != NO_SUMMARY) {
      for (uint32_t chunk = 0; chunk < p->num_chunks; chunk++) {
        const uint32_t cell = slot * p->num_chunks + chunk;
        uint32_t *of_chunk = bounds + chunk * 64;
        uint32_t entry = m->first_entries[cell];
        for (uint32_t half = 0; half < 2; half++)
          for (uint32_t bits = m->present[2 * (uint64_t)cell + half]; bits; bits &= bits - 1)
            of_chunk[32 * half + (uint32_t)__builtin_ctz(bits)] += weight * m->super_maxima[entry++];
      }
    } else {
      for (uint32_t chunk = 0; chunk < p->num_chunks; chunk++) {
        const uint64_t cell = (uint64_t)lists[i] * p->num_chunks + chunk;
        uint32_t *of_chunk = bounds + chunk * 64;
        for (uint32_t at = p->starts[cell], end = p->starts[cell + 1]; at < end;) {
          const uint32_t superblock = p->local_ids[at] / SUPERBLOCK;
          uint32_t largest = 0;
          for (; at < end && p->local_ids[at] / SUPERBLOCK == superblock; at++)
            if (p->values[at] > largest) largest = p->values[at];
          of_chunk[superblock] += weight * largest;
        }
      }
    }
  }
}

// bounds[b] = sum over lists of weight * largest value in block b of a superblock; cursors are set to its postings.
INLINE void bound_blocks(const struct posting_lists *p, const struct block_maxima *m, const uint32_t *lists,
                         const uint32_t *weights, uint32_t n, uint32_t superblock, uint32_t *bounds,
                         struct cursor *cursors) {
  const uint32_t chunk = superblock / 64, place = superblock % 64;
  for (uint32_t b = 0; b < BLOCKS; b++) bounds[b] = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t weight = weights[i];
    const uint16_t column = p->dense_slots[lists[i]], slot = m->slots[lists[i]];
    cursors[i].from = cursors[i].to = 0;
    if (column != NOT_DENSE) {
      const uint8_t *maxima = m->block_columns + column * m->block_stride + superblock * BLOCKS;
      for (uint32_t b = 0; b < BLOCKS; b++) bounds[b] += weight * maxima[b];
      continue;
    }
    const uint64_t list_cell = (uint64_t)lists[i] * p->num_chunks + chunk;
    const uint32_t first = p->starts[list_cell], end = p->starts[list_cell + 1];
    if (slot != NO_SUMMARY) {
      const uint32_t cell = slot * p->num_chunks + chunk;
      const uint64_t present = m->present[2 * (uint64_t)cell] | (uint64_t)m->present[2 * (uint64_t)cell + 1] << 32;
      if (!(present >> place & 1)) continue;
      const uint32_t entry = m->first_entries[cell] + (uint32_t)__builtin_popcountll(present & ((1ull << place) - 1));
      const struct superblock_entry *e = m->entries + entry;
      const uint8_t *maxima = m->block_maxima + e->first_maximum;
      for (uint32_t bits = e->blocks; bits; bits &= bits - 1) bounds[__builtin_ctz(bits)] += weight * *maxima++;
      cursors[i].from = first + e->first_posting;
      cursors[i].to = entry + 1 < m->first_entries[cell + 1] ? first + e[1].first_posting : end;
    } else {
      uint32_t at = lower_bound(p->local_ids, first, end, place * SUPERBLOCK);
      cursors[i].from = at;
      while (at < end && p->local_ids[at] / SUPERBLOCK == place) {
        const uint32_t block = p->local_ids[at] / BLOCK;
        uint32_t largest = 0;
        for (; at < end && p->local_ids[at] / BLOCK == block; at++)
          if (p->values[at] > largest) largest = p->values[at];
        bounds[block % BLOCKS] += weight * largest;
      }
      cursors[i].to = at;
    }
  }
}

INLINE void sift_down_bounds(uint64_t *order, uint32_t size, uint32_t at, uint64_t moving) {
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && order[child + 1] > order[child]) child++;
    if (order[child] <= moving) break;
    order[at] = order[child];
    at = child;
  }
  order[at] = moving;
}

// Whether documents with this bound, discounted by alpha / 65,536, can exceed a score.
INLINE int can_hold(uint32_t bound, uint64_t alpha, uint32_t below) { return bound * alpha > (uint64_t)below << 16; }

// scores[BLOCK] of the documents from start on; cursors move past the block.
INLINE void score_block(const struct posting_lists *p, const uint32_t *lists, const uint32_t *weights, uint32_t n,
                        uint32_t start, struct cursor *cursors, uint32_t *scores) {
  score_dense_lists(p, lists, weights, n, start, BLOCK, scores);
  const uint32_t base = start & 0xffff;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t at = cursors[i].from;
    const uint32_t to = cursors[i].to;
    while (at < to && p->local_ids[at] < base) at++;
    for (; at < to && p->local_ids[at] < base + BLOCK; at++)
      scores[(p->local_ids[at] - base) & (BLOCK - 1)] += weights[i] * p->values[at];
    cursors[i].from = at;
  }
}

// Top-k by block-max pruning: superblocks by falling bound, inside them the blocks whose bound exceeds the k-th best
// score. Equal to search_exact while pruning->alpha is 65,536 and no deadline cuts it off; below that, a document that is
// missed scores at most the worst hit's score * 65,536 / alpha.
//   bounds  [superblocks] scratch;  order  [superblocks] scratch;  cursors  [n] scratch;  scores  [BLOCK] scratch
uint32_t KERNEL(search_pruned)(const struct posting_lists *p, const struct block_maxima *m, const uint32_t *lists,
                               const uint32_t *weights, uint32_t n, struct cursor *cursors, uint32_t *bounds, uint64_t *order,
                               uint32_t *scores, const uint8_t *accept, const uint32_t *ranks, struct hit *heap, uint32_t k,
                               uint32_t threshold, struct pruning *pruning) {
  struct top top = {heap, k, 0, threshold > 0 ? threshold - 1 : 0};
  const uint64_t alpha = pruning->alpha;
  const uint32_t superblocks = (p->num_docs + SUPERBLOCK - 1) / SUPERBLOCK;
  pruning->visited = 0;
  pruning->complete = 1;
  if (k == 0) return 0;
  bound_superblocks(p, m, lists, weights, n, bounds, superblocks);

  // A max-heap of bound << 32 | ~superblock: few of its members are ever taken out.
  uint32_t size = 0;
  for (uint32_t s = 0; s < superblocks; s++)
    if (can_hold(bounds[s], alpha, top.below)) order[size++] = (uint64_t)bounds[s] << 32 | (uint32_t)~s;
  for (uint32_t i = size / 2; i-- > 0;) sift_down_bounds(order, size, i, order[i]);
  while (size > 0) {
    const uint64_t best = order[0];
    if (!can_hold((uint32_t)(best >> 32), alpha, top.below)) break;
    if (pruning->deadline > 0 && pruning->clock() > pruning->deadline) {
      pruning->complete = 0;
      break;
    }
    if (--size > 0) sift_down_bounds(order, size, 0, order[size]);
    const uint32_t superblock = ~(uint32_t)best;
    uint32_t block_bounds[BLOCKS];
    bound_blocks(p, m, lists, weights, n, superblock, block_bounds, cursors);
    for (uint32_t b = 0; b < BLOCKS; b++) {
      const uint32_t start = superblock * SUPERBLOCK + b * BLOCK;
      if (start >= p->num_docs) break;
      const uint32_t count = p->num_docs - start < BLOCK ? p->num_docs - start : BLOCK;
      if (!can_hold(block_bounds[b], alpha, top.below) || !any_accepted(accept, start, count)) continue;
      pruning->visited++;
      score_block(p, lists, weights, n, start, cursors, scores);
      collect(&top, scores, start, count, accept, ranks);
    }
  }
  return sort_hits(&top);
}
