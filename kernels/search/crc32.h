// CRC-32 as in zlib (reflected polynomial 0xEDB88320).
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define CRC32_FOLDS
#endif

// crc32_tables[n][b]: what byte b adds when n more bytes follow.
static uint32_t crc32_tables[8][256];

static inline void make_crc32_tables(void) {
  for (uint32_t b = 0; b < 256; b++) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    crc32_tables[0][b] = crc;
  }
  for (int n = 1; n < 8; n++)
    for (uint32_t b = 0; b < 256; b++) {
      const uint32_t before = crc32_tables[n - 1][b];
      crc32_tables[n][b] = before >> 8 ^ crc32_tables[0][before & 255];
    }
}

// Eight bytes at a time by tables; `crc` is the inverted checksum.
static inline uint32_t crc32_by_tables(const uint8_t *bytes, size_t count, uint32_t crc) {
  for (; count >= 8; count -= 8, bytes += 8) {
    uint32_t low, high;
    memcpy(&low, bytes, 4);
    memcpy(&high, bytes + 4, 4);
    low ^= crc;
    crc = crc32_tables[7][low & 255] ^ crc32_tables[6][low >> 8 & 255] ^ crc32_tables[5][low >> 16 & 255] ^
          crc32_tables[4][low >> 24] ^ crc32_tables[3][high & 255] ^ crc32_tables[2][high >> 8 & 255] ^
          crc32_tables[1][high >> 16 & 255] ^ crc32_tables[0][high >> 24];
  }
  for (; count > 0; count--, bytes++) crc = crc >> 8 ^ crc32_tables[0][(crc ^ *bytes) & 255];
  return crc;
}

#ifdef CRC32_FOLDS
#define FOLDING __attribute__((target("pclmul,sse4.1")))

// The 128 bits of `a`, moved past the distance of `by`, added to the bits `next`.
FOLDING static inline __m128i crc32_fold(__m128i a, __m128i by, __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(a, by, 0x00), high = _mm_clmulepi64_si128(a, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

// By carry-less multiplication (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction",
// Intel, 2009): four vectors are folded over 512 bits, then into one, then reduced (Barrett). count >= 64, a multiple of 16.
FOLDING static uint32_t crc32_by_folding(const uint8_t *bytes, size_t count, uint32_t crc) {
  const __m128i over_512 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4), over_128 = _mm_set_epi64x(0xccaa009e, 0x1751997d0);
  const __m128i over_64 = _mm_set_epi64x(0, 0x163cd6124), barrett = _mm_set_epi64x(0x1f7011641, 0x1db710641);
  const __m128i low_words = _mm_set_epi32(0, -1, 0, -1);
  const __m128i *from = (const __m128i *)bytes;
  __m128i a = _mm_xor_si128(_mm_loadu_si128(from), _mm_cvtsi32_si128((int)crc)), b = _mm_loadu_si128(from + 1);
  __m128i c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);
  for (from += 4, count -= 64; count >= 64; from += 4, count -= 64) {
    a = crc32_fold(a, over_512, _mm_loadu_si128(from));
    b = crc32_fold(b, over_512, _mm_loadu_si128(from + 1));
    c = crc32_fold(c, over_512, _mm_loadu_si128(from + 2));
    d = crc32_fold(d, over_512, _mm_loadu_si128(from + 3));
  }
  a = crc32_fold(crc32_fold(crc32_fold(a, over_128, b), over_128, c), over_128, d);
  for (; count > 0; from++, count -= 16) a = crc32_fold(a, over_128, _mm_loadu_si128(from));
  a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, over_128, 0x10));
  a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, low_words), over_64, 0x00));
  __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(a, low_words), barrett, 0x10);
  quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, low_words), barrett, 0x00);
  return (uint32_t)_mm_extract_epi32(_mm_xor_si128(a, quotient), 1);
}
#endif

// Whether the processor multiplies without carries; set when the tables are made.
static int crc32_folds;

static inline void prepare_crc32(void) {
  make_crc32_tables();
#ifdef CRC32_FOLDS
  crc32_folds = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
#endif
}

// @param before checksum of the bytes before these, to continue it; 0 at the start
static inline uint32_t crc32_of(const uint8_t *bytes, size_t count, uint32_t before) {
  uint32_t crc = ~before;
#ifdef CRC32_FOLDS
  if (crc32_folds && count >= 64) {
    const size_t folded = count & ~(size_t)15;
    crc = crc32_by_folding(bytes, folded, crc);
    bytes += folded;
    count -= folded;
  }
#endif
  return ~crc32_by_tables(bytes, count, crc);
}
