// Top-k by block-max pruning (Mallia, Suel, Tonellotto, "Faster Learned Sparse Retrieval with Block-Max Pruning", 2024;
// superblocks: Carlson et al. 2025): only blocks whose bound exceeds the k-th best score are visited.
#pragma once
#include "scan.h"

enum {
  BLOCKS = SUPERBLOCK_DOCS / BLOCK_DOCS,
  CHUNK_SUPERBLOCKS = CHUNK_DOCS / SUPERBLOCK_DOCS,
};

// Superblocks that are still to be visited: bound << 32 | ~superblock, the largest at the root.
#define HEAP(name) bound_heap_##name
#define HEAP_TYPE uint64_t
#define HEAP_ABOVE(a, b) ((a) > (b))
#include "heap.h"

// bounds[s] = sum over lists of weight * largest value in superblock s.
INLINE void bound_superblocks(const struct posting_lists *p, const struct block_max_index *m, const uint32_t *list_ids,
                              const uint32_t *weights, uint32_t n, uint32_t *bounds, uint32_t superblocks) {
  for (uint32_t s = 0; s < superblocks; s++) bounds[s] = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t weight = weights[i];
    const uint16_t column = p->dense_slots[list_ids[i]], slot = m->slots[list_ids[i]];
    if (column != NOT_DENSE) {
      const uint8_t *max_impacts = m->superblock_columns + column * m->superblock_stride;
      for (uint32_t s = 0; s < superblocks; s++) bounds[s] += weight * max_impacts[s];
    } else if (slot != NO_SUMMARY) {
      for (uint32_t chunk = 0; chunk < p->num_chunks; chunk++) {
        const uint32_t cell = slot * p->num_chunks + chunk;
        uint32_t *of_chunk = bounds + chunk * CHUNK_SUPERBLOCKS;
        uint32_t entry = m->first_entries[cell];
        for (uint32_t half = 0; half < 2; half++)
          for (uint32_t bits = m->present[2 * (uint64_t)cell + half]; bits; bits &= bits - 1)
            of_chunk[32 * half + (uint32_t)__builtin_ctz(bits)] += weight * m->superblock_max_impacts[entry++];
      }
    } else {
      for (uint32_t chunk = 0; chunk < p->num_chunks; chunk++) {
        const uint64_t cell = (uint64_t)list_ids[i] * p->num_chunks + chunk;
        uint32_t *of_chunk = bounds + chunk * CHUNK_SUPERBLOCKS;
        for (uint32_t at = p->starts[cell], end = p->starts[cell + 1]; at < end;) {
          const uint32_t superblock = p->local_ids[at] / SUPERBLOCK_DOCS;
          uint32_t largest = 0;
          for (; at < end && p->local_ids[at] / SUPERBLOCK_DOCS == superblock; at++)
            if (p->values[at] > largest) largest = p->values[at];
          of_chunk[superblock] += weight * largest;
        }
      }
    }
  }
}

// bounds[b] = sum over lists of weight * largest value in block b of a superblock. The cursors are set to its postings.
INLINE void bound_blocks(const struct posting_lists *p, const struct block_max_index *m, const uint32_t *list_ids,
                         const uint32_t *weights, uint32_t n, uint32_t superblock, uint32_t *bounds,
                         struct cursor *cursors) {
  const uint32_t chunk = superblock / CHUNK_SUPERBLOCKS, within = superblock % CHUNK_SUPERBLOCKS;
  for (uint32_t b = 0; b < BLOCKS; b++) bounds[b] = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint32_t weight = weights[i];
    const uint16_t column = p->dense_slots[list_ids[i]], slot = m->slots[list_ids[i]];
    cursors[i].from = cursors[i].to = 0;
    if (column != NOT_DENSE) {
      const uint8_t *max_impacts = m->block_columns + column * m->block_stride + superblock * BLOCKS;
      for (uint32_t b = 0; b < BLOCKS; b++) bounds[b] += weight * max_impacts[b];
      continue;
    }
    const uint64_t list_cell = (uint64_t)list_ids[i] * p->num_chunks + chunk;
    const uint32_t first = p->starts[list_cell], end = p->starts[list_cell + 1];
    if (slot != NO_SUMMARY) {
      const uint32_t cell = slot * p->num_chunks + chunk;
      const uint64_t present = m->present[2 * (uint64_t)cell] | (uint64_t)m->present[2 * (uint64_t)cell + 1] << 32;
      if (!(present >> within & 1)) continue;
      const uint32_t earlier = (uint32_t)__builtin_popcountll(present & ((1ull << within) - 1));
      const uint32_t entry = m->first_entries[cell] + earlier;
      const struct superblock_entry *e = m->entries + entry;
      const uint8_t *max_impacts = m->block_max_impacts + e->first_max_impact;
      for (uint32_t bits = e->blocks; bits; bits &= bits - 1) bounds[__builtin_ctz(bits)] += weight * *max_impacts++;
      cursors[i].from = first + e->first_posting;
      cursors[i].to = entry + 1 < m->first_entries[cell + 1] ? first + e[1].first_posting : end;
    } else {
      uint32_t at = lower_bound(p->local_ids, first, end, within * SUPERBLOCK_DOCS);
      cursors[i].from = at;
      while (at < end && p->local_ids[at] / SUPERBLOCK_DOCS == within) {
        const uint32_t block = p->local_ids[at] / BLOCK_DOCS;
        uint32_t largest = 0;
        for (; at < end && p->local_ids[at] / BLOCK_DOCS == block; at++)
          if (p->values[at] > largest) largest = p->values[at];
        bounds[block % BLOCKS] += weight * largest;
      }
      cursors[i].to = at;
    }
  }
}

// Whether documents with this bound, discounted by alpha / ALPHA_ONE, can exceed a score.
INLINE int can_hold(uint32_t bound, uint64_t alpha, uint32_t threshold) {
  return bound * alpha > (uint64_t)threshold * ALPHA_ONE;
}

// Whether a superblock has a document that may be a hit.
INLINE int any_accepted_in(const struct posting_lists *p, const uint8_t *filter_bits, uint32_t superblock) {
  const uint32_t start = superblock * SUPERBLOCK_DOCS, left = p->num_docs - start;
  return any_accepted(filter_bits, start, left < SUPERBLOCK_DOCS ? left : SUPERBLOCK_DOCS);
}

// scores of the few accepted documents (bits) of the block at start, one by one; the other scores are left as they are.
INLINE void score_accepted(const struct posting_lists *p, const uint32_t *list_ids, const uint32_t *weights, uint32_t n,
                           uint32_t start, uint64_t accepted, struct cursor *cursors, uint32_t *scores) {
  const uint32_t base = start & (CHUNK_DOCS - 1);
  for (uint64_t bits = accepted; bits; bits &= bits - 1) scores[__builtin_ctzll(bits)] = 0;
  for (uint32_t i = 0; i < n; i++) {
    const uint16_t column = p->dense_slots[list_ids[i]];
    if (column != NOT_DENSE) {
      const uint8_t *values = p->columns + column * p->column_stride + start;
      for (uint64_t bits = accepted; bits; bits &= bits - 1) {
        const uint32_t at = (uint32_t)__builtin_ctzll(bits);
        scores[at] += weights[i] * values[at];
      }
      continue;
    }
    uint32_t at = lower_bound(p->local_ids, cursors[i].from, cursors[i].to, base);
    for (; at < cursors[i].to && p->local_ids[at] < base + BLOCK_DOCS; at++) {
      const uint32_t place = (p->local_ids[at] - base) & (BLOCK_DOCS - 1);
      if (accepted >> place & 1) scores[place] += weights[i] * p->values[at];
    }
    cursors[i].from = at;
  }
}

// scores[BLOCK_DOCS] of the documents from start on; cursors move past the block.
INLINE void score_block(const struct posting_lists *p, const uint32_t *list_ids, const uint32_t *weights, uint32_t n,
                        uint32_t start, struct cursor *cursors, uint32_t *scores) {
  score_dense_lists(p, list_ids, weights, n, start, BLOCK_DOCS, scores);
  const uint32_t base = start & (CHUNK_DOCS - 1);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t at = cursors[i].from;
    const uint32_t to = cursors[i].to;
    while (at < to && p->local_ids[at] < base) at++;
    for (; at < to && p->local_ids[at] < base + BLOCK_DOCS; at++)
      scores[(p->local_ids[at] - base) & (BLOCK_DOCS - 1)] += weights[i] * p->values[at];
    cursors[i].from = at;
  }
}

// Visits superblocks in descending order of their bound, and inside them the blocks whose bound exceeds the k-th best
// score. Equal to search_exact while alpha is ALPHA_ONE and no deadline ends the search early. With a smaller alpha, a
// document that is missed scores at most the worst hit's score * ALPHA_ONE / alpha.
uint32_t KERNEL(search_pruned)(const struct search_request *request, const struct block_max_index *m,
                               const struct pruned_scratch *scratch, struct pruning *pruning,
                               struct time_budget *budget) {
  const struct posting_lists *p = request->lists;
  const uint32_t *list_ids = request->list_ids, *weights = request->weights;
  const uint32_t n = request->terms;
  uint32_t *bounds = scratch->bounds, *scores = scratch->scores;
  uint64_t *order = scratch->order;
  struct top top = top_of(request);
  const uint64_t alpha = pruning->alpha;
  const uint32_t superblocks = (p->num_docs + SUPERBLOCK_DOCS - 1) / SUPERBLOCK_DOCS;
  pruning->visited = 0;
  if (top.k == 0) return 0;
  bound_superblocks(p, m, list_ids, weights, n, bounds, superblocks);

  // A heap, because only a few of its members are ever taken out.
  uint32_t size = 0;
  for (uint32_t s = 0; s < superblocks; s++)
    if (can_hold(bounds[s], alpha, top.threshold) && any_accepted_in(p, request->filter_bits, s))
      order[size++] = (uint64_t)bounds[s] << 32 | (uint32_t)~s;
  for (uint32_t i = size / 2; i-- > 0;) bound_heap_sift_down(order, size, i, order[i]);
  while (size > 0) {
    const uint64_t best = order[0];
    if (!can_hold((uint32_t)(best >> 32), alpha, top.threshold)) break;
    if (is_spent(budget)) break;
    if (--size > 0) bound_heap_sift_down(order, size, 0, order[size]);
    const uint32_t superblock = ~(uint32_t)best;
    uint32_t block_bounds[BLOCKS];
    bound_blocks(p, m, list_ids, weights, n, superblock, block_bounds, scratch->cursors);
    for (uint32_t b = 0; b < BLOCKS; b++) {
      const uint32_t start = superblock * SUPERBLOCK_DOCS + b * BLOCK_DOCS;
      if (start >= p->num_docs) break;
      const uint32_t count = p->num_docs - start < BLOCK_DOCS ? p->num_docs - start : BLOCK_DOCS;
      if (!can_hold(block_bounds[b], alpha, top.threshold)) continue;
      const uint64_t accepted = accepted_bits(request->filter_bits, start, count);
      if (accepted == 0) continue;
      pruning->visited++;
      if (__builtin_popcountll(accepted) <= FEW)
        score_accepted(p, list_ids, weights, n, start, accepted, scratch->cursors, scores);
      else
        score_block(p, list_ids, weights, n, start, scratch->cursors, scores);
      collect(&top, scores, start, count, request->filter_bits, request->ranks);
    }
  }
  return sort_hits(&top);
}
