// Exact top-k over posting lists by windowed term-at-a-time scoring. Used by search.c (Node-API) and wasm/search.c.
// The specification is query/exact-scan.ts; scores are integers, so every build gives the same bits.
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
typedef __m128i v128;
#define v_load(p) _mm_loadu_si128((const __m128i *)(p))
#define v_store(p, v) _mm_storeu_si128((__m128i *)(p), v)
#define v_zero() _mm_setzero_si128()
#define v_splat32(x) _mm_set1_epi32((int)(x))
#define v_add32(a, b) _mm_add_epi32(a, b)
#define v_interleave_low8(a, b) _mm_unpacklo_epi8(a, b)
#define v_interleave_high8(a, b) _mm_unpackhi_epi8(a, b)
#define v_madd16(a, b) _mm_madd_epi16(a, b)
// Bit i = lane i of a >= b for u32 lanes: flipping the sign bit turns unsigned order into signed order.
static inline int v_mask_greater32(v128 a, v128 b) {
  const v128 sign = _mm_set1_epi32((int)0x80000000);
  return _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpgt_epi32(_mm_xor_si128(a, sign), _mm_xor_si128(b, sign))));
}
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
typedef v128_t v128;
#define v_load(p) wasm_v128_load(p)
#define v_store(p, v) wasm_v128_store(p, v)
#define v_zero() wasm_i32x4_splat(0)
#define v_splat32(x) wasm_i32x4_splat((int)(x))
#define v_add32(a, b) wasm_i32x4_add(a, b)
#define v_interleave_low8(a, b) wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define v_interleave_high8(a, b) wasm_i8x16_shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define v_madd16(a, b) wasm_i32x4_dot_i16x8(a, b)
#define v_mask_greater32(a, b) ((int)wasm_i32x4_bitmask(wasm_u32x4_gt(a, b)))
#elif defined(__aarch64__)
#include <arm_neon.h>
typedef uint8x16_t v128;
#define v_load(p) vld1q_u8((const uint8_t *)(p))
#define v_store(p, v) vst1q_u8((uint8_t *)(p), v)
#define v_zero() vdupq_n_u8(0)
#define v_splat32(x) vreinterpretq_u8_u32(vdupq_n_u32(x))
#define v_add32(a, b) vreinterpretq_u8_u32(vaddq_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)))
#define v_interleave_low8(a, b) vzip1q_u8(a, b)
#define v_interleave_high8(a, b) vzip2q_u8(a, b)
static inline v128 v_madd16(v128 a, v128 b) {
  const int16x8_t x = vreinterpretq_s16_u8(a), y = vreinterpretq_s16_u8(b);
  const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
  return vreinterpretq_u8_s32(vpaddq_s32(low, high));
}
static inline int v_mask_greater32(v128 a, v128 b) {
  static const uint32_t bits[4] = {1, 2, 4, 8};
  return (int)vaddvq_u32(vandq_u32(vcgtq_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)), vld1q_u32(bits)));
}
#else
#error "posting kernels need SSE2, NEON or WebAssembly SIMD"
#endif

enum {
  WINDOW = 8192,      // documents scored at a time: 32 KB of u32 accumulators stay in the first-level cache
  NOT_DENSE = 0xffff, // as in indexer/posting-lists.ts
  MAX_DENSE = 256,    // dense lists of one query that share a pass; more take further passes
};

// Posting lists of a segment (indexer/posting-lists.ts). Views; every array is as long as FORMAT.md says.
struct posting_lists {
  uint32_t num_docs, num_chunks;
  const uint32_t *starts;      // [lists * num_chunks + 1]
  const uint16_t *dense_slots; // [lists]
  const uint16_t *local_ids;   // [postings]
  const uint8_t *values;       // [postings]
  const uint8_t *columns;      // [dense][column_stride], column_stride a multiple of 64
  uint64_t column_stride;
};

// A kept hit: key = score in the high half, ~rank in the low half, so that a larger key is a better hit.
struct hit {
  uint64_t key;
  uint32_t doc;
};

struct top {
  struct hit *heap; // [k], the worst hit at the root once full
  uint32_t k, size;
  uint32_t below; // a score must exceed this to be looked at: (k-th best score) - 1, 0 while not full
};

static inline void sift_down(struct hit *heap, uint32_t size, uint32_t at, struct hit moving) {
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

static inline void offer(struct top *top, uint32_t score, uint32_t rank, uint32_t doc) {
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

// scores[count] = sum over dense lists of weight * column (add = 0), or the same added to scores (add = 1).
// Two columns a step: u8 pairs widen to u16 and pmaddwd multiplies them with (weight a, weight b) < 32,768.
static inline void score_dense(uint32_t *scores, uint32_t count, const uint8_t *const *columns, const uint32_t *weights,
                               uint32_t n, int add) {
  const v128 zero = v_zero();
  for (uint32_t i = 0; i < count; i += 16) {
    v128 s0 = add ? v_load(scores + i) : zero, s1 = add ? v_load(scores + i + 4) : zero;
    v128 s2 = add ? v_load(scores + i + 8) : zero, s3 = add ? v_load(scores + i + 12) : zero;
    for (uint32_t j = 0; j < n; j += 2) {
      const int pair = j + 1 < n;
      const v128 a = v_load(columns[j] + i), b = pair ? v_load(columns[j + 1] + i) : zero;
      const v128 w = v_splat32(weights[j] | (pair ? weights[j + 1] << 16 : 0));
      const v128 low = v_interleave_low8(a, b), high = v_interleave_high8(a, b);
      s0 = v_add32(s0, v_madd16(v_interleave_low8(low, zero), w));
      s1 = v_add32(s1, v_madd16(v_interleave_high8(low, zero), w));
      s2 = v_add32(s2, v_madd16(v_interleave_low8(high, zero), w));
      s3 = v_add32(s3, v_madd16(v_interleave_high8(high, zero), w));
    }
    v_store(scores + i, s0);
    v_store(scores + i + 4, s1);
    v_store(scores + i + 8, s2);
    v_store(scores + i + 12, s3);
  }
}

// First posting in [from, to) with a local id >= stop, by galloping from `from`.
static inline uint32_t advance(const uint16_t *ids, uint32_t from, uint32_t to, uint32_t stop) {
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
static inline void score_sparse(uint32_t *scores, const uint16_t *ids, const uint8_t *values, uint32_t from, uint32_t to,
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

static inline int accepted(const uint8_t *accept, uint32_t doc) {
  return accept == NULL || ((accept[doc >> 3] >> (doc & 7)) & 1);
}

// Offers the documents start .. start + count - 1 whose score exceeds top->below.
static inline void collect(struct top *top, const uint32_t *scores, uint32_t start, uint32_t count, const uint8_t *accept,
                           const uint32_t *ranks) {
  for (uint32_t i = 0; i < count; i += 16) {
    const v128 below = v_splat32(top->below);
    int mask = v_mask_greater32(v_load(scores + i), below) | v_mask_greater32(v_load(scores + i + 4), below) << 4 |
               v_mask_greater32(v_load(scores + i + 8), below) << 8 | v_mask_greater32(v_load(scores + i + 12), below) << 12;
    while (mask) {
      const uint32_t at = i + (uint32_t)__builtin_ctz((unsigned)mask);
      mask &= mask - 1;
      if (at < count && scores[at] > top->below && accepted(accept, start + at)) offer(top, scores[at], ranks[start + at], start + at);
    }
  }
}

// Exact top-k of the documents that share a term with the query.
//   lists, weights  [n] list numbers and weights 1..32,767
//   cursors         [n] scratch
//   scores          [WINDOW] scratch
//   accept          bit a document, or NULL for all
//   ranks           [num_docs] tie-break, smaller first
//   heap            [k] receives the hits, best first
// Returns the number of hits.
static uint32_t search_exact(const struct posting_lists *p, const uint32_t *lists, const uint32_t *weights, uint32_t n,
                             uint32_t *cursors, uint32_t *scores, const uint8_t *accept, const uint32_t *ranks,
                             struct hit *heap, uint32_t k) {
  struct top top = {heap, k, 0, 0};
  const uint8_t *columns[MAX_DENSE];
  uint32_t dense_weights[MAX_DENSE];
  if (k == 0) return 0;
  for (uint32_t start = 0; start < p->num_docs; start += WINDOW) {
    const uint32_t count = p->num_docs - start < WINDOW ? p->num_docs - start : WINDOW;
    const uint32_t padded = (count + 15) & ~15u;
    const uint32_t chunk = start >> 16, base = start & 0xffff;
    int filled = 0;
    uint32_t dense = 0;
    for (uint32_t i = 0; i < n; i++) {
      const uint16_t slot = p->dense_slots[lists[i]];
      if (slot == NOT_DENSE) continue;
      columns[dense] = p->columns + slot * p->column_stride + start;
      dense_weights[dense++] = weights[i];
      if (dense < MAX_DENSE) continue;
      score_dense(scores, padded, columns, dense_weights, dense, filled);
      filled = 1;
      dense = 0;
    }
    // Without a dense list this clears the window.
    if (dense > 0 || !filled) score_dense(scores, padded, columns, dense_weights, dense, filled);
    for (uint32_t i = 0; i < n; i++) {
      if (p->dense_slots[lists[i]] != NOT_DENSE) continue;
      const uint64_t cell = (uint64_t)lists[i] * p->num_chunks + chunk;
      const uint32_t from = base == 0 ? p->starts[cell] : cursors[i];
      const uint32_t to = advance(p->local_ids, from, p->starts[cell + 1], base + WINDOW);
      score_sparse(scores, p->local_ids, p->values, from, to, base, weights[i]);
      cursors[i] = to;
    }
    collect(&top, scores, start, count, accept, ranks);
  }
  // Heap sort: the worst hit goes to the end, and so on.
  for (uint32_t size = top.size; size > 1; size--) {
    const struct hit last = heap[size - 1];
    heap[size - 1] = heap[0];
    sift_down(heap, size - 1, 0, last);
  }
  return top.size;
}
