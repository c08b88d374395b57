// A lower bound on the k-th best score of a window, for one type of score. Hits are then offered to the heap only from
// there on: without it, a search for many hits spends half of its time on documents that others push out again.
// Included once per type, with macros that this file undefines again:
//   BOUND(name)   the names of the functions
//   BOUND_TYPE    the type of a score
//   BOUND_COUNT   an integer as wide, so that comparisons are counted in vectors

// scores[count] fall into KTH_GROUPS groups, each with every KTH_GROUPS-th document. As many groups as have a score of at
// least x, so many documents have one. The largest such x for k groups is found by bisection, nearly; k <= KTH_GROUPS.
INLINE BOUND_TYPE BOUND(kth)(const BOUND_TYPE *scores, uint32_t count, uint32_t k) {
  BOUND_TYPE best[KTH_GROUPS] = {0};
  for (uint32_t start = 0; start < count; start += KTH_GROUPS) {
    const uint32_t n = count - start < KTH_GROUPS ? count - start : KTH_GROUPS;
    for (uint32_t i = 0; i < n; i++) best[i] = scores[start + i] > best[i] ? scores[start + i] : best[i];
  }
  BOUND_TYPE low = 0, high = 0;
  for (uint32_t i = 0; i < KTH_GROUPS; i++) high = best[i] > high ? best[i] : high;
  for (uint32_t round = 0; round < KTH_ROUNDS; round++) {
    const BOUND_TYPE middle = low + (high - low) / 2;
    BOUND_COUNT reached = 0;
    for (uint32_t i = 0; i < KTH_GROUPS; i++) reached += best[i] >= middle;
    if (reached >= (BOUND_COUNT)k) low = middle;
    else high = middle;
  }
  return low;
}

// Sets the scores of the documents start .. start + count - 1 that may be no hits to 0.
INLINE void BOUND(clear_rejected)(BOUND_TYPE *scores, const uint8_t *filter_bits, uint32_t start, uint32_t count) {
  for (uint32_t i = 0; i < count; i += BLOCK_DOCS) {
    uint64_t rejected = ~accepted_bits(filter_bits, start + i, count - i);
    if (count - i < BLOCK_DOCS) rejected &= (1ull << (count - i)) - 1;
    for (; rejected; rejected &= rejected - 1) scores[i + (uint32_t)__builtin_ctzll(rejected)] = 0;
  }
}

#undef BOUND
#undef BOUND_TYPE
#undef BOUND_COUNT
