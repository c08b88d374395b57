import { sameQuery } from '../../corpus/judged-queries.ts';
import { shuffled } from '../../random.ts';

/** What decides whether two queries may be on different sides. */
export interface Splittable {
  readonly query: string;
  /** Ids of the documents that the query is about: its positives, or the one that it was cut out of. */
  readonly about: readonly string[];
}

export interface Split<T> {
  readonly train: readonly T[];
  /** For early stopping. */
  readonly validation: readonly T[];
  /** For the verdict: nothing is chosen on it. */
  readonly test: readonly T[];
  /** Left out, because they share a document with a held-out query that could not be held out without them. */
  readonly dropped: readonly T[];
}

export interface HeldOut {
  /** Queries wanted in each part; the rest is trained on. */
  readonly validation: number;
  readonly test: number;
  readonly seed: number;
}

/**
 * Splits queries so that no query and no document that a query is about is on two sides. Queries that are joined through
 * documents stay together where their group fits what is wanted; where groups are too large, single queries are held out and those
 * they share a document with are dropped.
 */
export function splitQueries<T extends Splittable>(
  queries: readonly T[],
  { validation, test, seed }: HeldOut,
): Split<T> {
  const order = shuffled(components(queries), seed);
  const parts: { readonly wanted: number; readonly kept: T[] }[] = [
    { wanted: test, kept: [] },
    { wanted: validation, kept: [] },
  ];
  const rest: T[][] = [];
  for (const group of order) {
    const part = parts.find(({ wanted, kept }) => kept.length + group.length <= wanted);
    if (part) part.kept.push(...group);
    else rest.push(group);
  }
  let open = rest.flat();
  const dropped: T[] = [];
  for (const { wanted, kept } of parts) {
    while (kept.length < wanted / 2) {
      // Never more than half of what is left is given up for the sake of what is held out.
      const next = cheapest(open, kept.length + dropped.length);
      if (!next || next.lost.length > open.length / 2) break;
      kept.push(next.query);
      dropped.push(...next.lost);
      const gone = new Set([next.query, ...next.lost]);
      open = open.filter((query) => !gone.has(query));
    }
  }
  return { train: open, validation: parts[1]!.kept, test: parts[0]!.kept, dropped };
}

/** The query that shares its documents with the fewest others, of some that come first. */
function cheapest<T extends Splittable>(open: readonly T[], at: number): { query: T; lost: T[] } | undefined {
  const tried = Array.from({ length: Math.min(8, open.length) }, (_, i) => open[(at + i) % open.length]!);
  const costs = tried.map((query) => {
    const keys = new Set(keysOf(query));
    return {
      query,
      lost: open.filter((other) => other !== query && keysOf(other).some((key) => keys.has(key))),
    };
  });
  return costs.sort((a, b) => a.lost.length - b.lost.length)[0];
}

/** Two queries with a common key may not be on different sides. */
const keysOf = ({ query, about }: Splittable): string[] => [
  `query ${sameQuery(query)}`,
  ...about.map((id) => `document ${id}`),
];

/** Queries that are joined by a common text or document, directly or through others. */
function components<T extends Splittable>(queries: readonly T[]): T[][] {
  const parent = queries.map((_, i) => i);
  const find = (i: number): number => {
    let root = i;
    while (parent[root] !== root) root = parent[root]!;
    for (let at = i; at !== root; ) {
      const next = parent[at]!;
      parent[at] = root;
      at = next;
    }
    return root;
  };
  const firstOf = new Map<string, number>();
  queries.forEach((query, i) => {
    for (const key of keysOf(query)) {
      const first = firstOf.get(key);
      if (first === undefined) firstOf.set(key, i);
      else parent[find(i)] = find(first);
    }
  });
  const groups = new Map<number, T[]>();
  queries.forEach((query, i) => {
    const root = find(i);
    groups.set(root, [...(groups.get(root) ?? []), query]);
  });
  return [...groups.values()];
}
