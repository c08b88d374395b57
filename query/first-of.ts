/** The first `count` in order. Most of many are compared once, where few are wanted. @param compare never 0 */
export function firstOf<T>(all: Iterable<T>, count: number, compare: (a: T, b: T) => number): T[] {
  const kept: T[] = [];
  for (const one of all) {
    if (kept.length === count && compare(kept[count - 1]!, one) < 0) continue;
    let at = kept.length === count ? count - 1 : kept.length;
    for (; at > 0 && compare(one, kept[at - 1]!) < 0; at--) kept[at] = kept[at - 1]!;
    kept[at] = one;
  }
  return kept;
}
