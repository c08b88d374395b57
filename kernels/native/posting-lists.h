// What a posting search takes and gives; shared by the kernels (simd/posting-search.h) and their callers.
#pragma once
#include <stdint.h>

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
