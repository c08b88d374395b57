/**
 * Binary search.
 *
 * @param isBefore whether the item at an index sorts before what is searched; true for a prefix of `0 .. length - 1`, false after it
 * @returns the first index for which it is false; `length` when there is none
 */
export function lowerBound(length: number, isBefore: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * As {@link lowerBound}, in ascending values: searches look up every token in every segment.
 *
 * @param from where to begin
 * @returns the first position that does not hold less than `wanted`
 */
export function positionOf(values: Uint16Array, wanted: number, from = 0): number {
  let low = from;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
