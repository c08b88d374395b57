// A binary heap for one type of element. Included once per type, with three macros that this file undefines again:
//   HEAP(name)         the names of the functions
//   HEAP_TYPE          the type of an element
//   HEAP_ABOVE(a, b)   whether a belongs nearer to the root than b

// Puts `moving` into the hole at `at`, or below it.
INLINE void HEAP(sift_down)(HEAP_TYPE *heap, uint32_t size, uint32_t at, HEAP_TYPE moving) {
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && HEAP_ABOVE(heap[child + 1], heap[child])) child++;
    if (!HEAP_ABOVE(heap[child], moving)) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = moving;
}

// Adds an element to a heap of `size` elements.
INLINE void HEAP(push)(HEAP_TYPE *heap, uint32_t size, HEAP_TYPE added) {
  uint32_t at = size;
  for (; at > 0 && HEAP_ABOVE(added, heap[(at - 1) / 2]); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
  heap[at] = added;
}

// Heap sort: afterwards the element that was at the root comes last.
INLINE void HEAP(sort)(HEAP_TYPE *heap, uint32_t size) {
  for (; size > 1; size--) {
    const HEAP_TYPE last = heap[size - 1];
    heap[size - 1] = heap[0];
    HEAP(sift_down)(heap, size - 1, 0, last);
  }
}

#undef HEAP
#undef HEAP_TYPE
#undef HEAP_ABOVE
