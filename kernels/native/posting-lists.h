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

// What is kept of a list in a superblock of 1,024 documents.
struct superblock_entry {
  uint32_t first_maximum; // of its blocks, in block_maxima
  uint16_t first_posting; // counted from the first of its chunk
  uint16_t blocks;        // bit b: the list occurs in block b of 64 documents
};

// Block maxima of the same lists (indexer/block-maxima.ts). Views, as above.
struct block_maxima {
  const uint16_t *slots;                  // [lists] summary number, 65,535 = none
  const uint32_t *first_entries;          // [summaries * num_chunks + 1]
  const uint32_t *present;                // [summaries * num_chunks][2] bit s: the list occurs in superblock s of the chunk
  const struct superblock_entry *entries; // one a set bit of present
  const uint8_t *super_maxima;            // [entries]
  const uint8_t *block_maxima;            // one a set bit of the entries' blocks
  const uint8_t *super_columns;           // [dense][super_stride]
  const uint8_t *block_columns;           // [dense][block_stride]
  uint64_t super_stride, block_stride;    // multiples of 64
};

// A list while a superblock is visited: its postings there that no scored block has passed.
struct cursor {
  uint32_t from, to;
};

// How pruned search may cut corners.
struct pruning {
  uint32_t alpha;          // bounds count alpha / 65,536; 65,536 = no hit is lost
  double deadline;         // on the clock below, 0 = none
  double (*clock)(void);
  uint32_t visited;        // out: blocks scored
  uint32_t complete;       // out: 0 when the deadline came first
};

// A kept hit: key = score in the high half, ~rank in the low half, so that a larger key is a better hit.
struct hit {
  uint64_t key;
  uint32_t doc;
};

// A kept hit of BM25.
struct lexical_hit {
  double score;
  uint32_t rank, doc;
};
