// From rows of documents to posting lists (indexer/FORMAT.md). Integers only, so that all processors give the same bytes;
// the specification is inversion.reference.ts.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../generated/search-layout.h"

// Column ids are u16.
enum { COLUMNS = 1 << 16 };
// Lists are filled in groups of 256, so that what a group writes to stays in the caches and in the table of pages. Groups
// of sparse lists come first, by column id; then those of dense lists, by dense column.
enum { GROUP_BITS = 8, GROUP_LISTS = 1 << GROUP_BITS, SPARSE_GROUPS = COLUMNS / GROUP_LISTS, GROUPS = 2 * SPARSE_GROUPS };

// Rows of documents of one chunk, and the lists that they go to.
struct inversion {
  const uint32_t *row_offsets; // [documents + 1]
  const uint16_t *column_ids;
  const uint8_t *values;
  uint32_t first_doc, end_doc;
  const uint32_t *counts; // [COLUMNS] postings of each column in these rows
  int32_t *next;          // [COLUMNS] where the next posting of a column goes, or ~dense column; moved on
  uint16_t *local_ids;
  uint8_t *list_values;
  uint8_t *columns;
  uint64_t column_stride;
};

// Rounds weights[count] to impacts: weight * per_impact + .5 in double precision, at most 255; 0 below 1 and for what is
// no number. Returns how many are 0.
static inline uint32_t quantize_weights(const float *weights, uint32_t count, double per_impact, uint8_t *impacts) {
  uint32_t zeros = 0;
  for (uint32_t i = 0; i < count; i++) {
    const double scaled = weights[i] * per_impact + 0.5;
    const double clipped = scaled < 255 ? scaled : 255;
    const uint8_t impact = scaled >= 1 ? (uint8_t)(int32_t)clipped : 0;
    impacts[i] = impact;
    zeros += impact == 0;
  }
  return zeros;
}

static inline void count_columns(const uint16_t *column_ids, size_t count, uint32_t *counts) {
  for (size_t p = 0; p < count; p++) counts[column_ids[p]]++;
}

static inline uint32_t group_place(int32_t next, uint32_t column) {
  return next >= 0 ? column : COLUMNS + (uint32_t)~next;
}

// Copies the postings of rows to their lists in two passes: first to a group of lists each, one after the other in memory;
// then, group by group, to the lists. In one pass every posting would be likely to miss the table of pages.
// places[COLUMNS] and entries[postings] are scratch.
static inline void scatter_rows(const struct inversion *rows, uint32_t *places, uint32_t *entries) {
  uint32_t ends[GROUPS] = {0}, from = 0;
  for (uint32_t column = 0; column < COLUMNS; column++) {
    if (rows->counts[column] == 0) continue;
    places[column] = group_place(rows->next[column], column);
    ends[places[column] >> GROUP_BITS] += rows->counts[column];
  }
  for (uint32_t group = 0; group < GROUPS; group++) {
    const uint32_t count = ends[group];
    ends[group] = from;
    from += count;
  }
  for (uint32_t doc = rows->first_doc; doc < rows->end_doc; doc++) {
    const uint32_t local = doc << 16;
    for (uint32_t p = rows->row_offsets[doc]; p < rows->row_offsets[doc + 1]; p++) {
      const uint32_t place = places[rows->column_ids[p]];
      entries[ends[place >> GROUP_BITS]++] = local | (place & (GROUP_LISTS - 1)) << 8 | rows->values[p];
    }
  }
  const uint64_t chunk = rows->first_doc & ~(uint32_t)(CHUNK_DOCS - 1);
  for (uint32_t group = 0, at = 0; group < GROUPS; group++) {
    if (group < SPARSE_GROUPS) {
      int32_t *next = rows->next + group * GROUP_LISTS;
      for (; at < ends[group]; at++) {
        const uint32_t entry = entries[at], to = (uint32_t)next[entry >> 8 & (GROUP_LISTS - 1)]++;
        rows->local_ids[to] = (uint16_t)(entry >> 16);
        rows->list_values[to] = (uint8_t)entry;
      }
    } else {
      uint8_t *column = rows->columns + (uint64_t)(group - SPARSE_GROUPS) * GROUP_LISTS * rows->column_stride + chunk;
      for (; at < ends[group]; at++) {
        const uint32_t entry = entries[at];
        column[(entry >> 8 & (GROUP_LISTS - 1)) * rows->column_stride + (entry >> 16)] = (uint8_t)entry;
      }
    }
  }
}

// out[i] = the ranks[i]-th largest of the values, 0 when there are fewer.
static inline void kth_largest(const uint8_t *values, size_t count, const uint32_t *ranks, size_t num_ranks, uint8_t *out) {
  // Neighbours are counted apart: equal values would wait for each other.
  uint32_t counts[4][256] = {{0}};
  size_t i = 0, rank = 0;
  for (; i + 4 <= count; i += 4)
    for (int j = 0; j < 4; j++) counts[j][values[i + j]]++;
  for (; i < count; i++) counts[0][values[i]]++;
  uint32_t reached = 0;
  for (uint32_t value = 255; value > 0 && rank < num_ranks; value--) {
    reached += counts[0][value] + counts[1][value] + counts[2][value] + counts[3][value];
    while (rank < num_ranks && reached >= ranks[rank]) out[rank++] = (uint8_t)value;
  }
}
