import { WinnowError } from '../errors.ts';
import type { SearchSize } from '../query/backend.ts';
import type { Filter } from '../query/request.ts';
import { SEARCH_OPTIONS, type SearchRequest } from '../query/request.ts';

/** What the server accepts. Factors have their own limits (query/request.ts); these bound products of them. */
export const LIMITS = {
  /** Query tokens times hits with `explain`: each pair is a row of the answer, some 120 bytes. */
  explainedTokens: 50_000,
  /** Query tokens times hits: each hit is compared with each token for its snippet and added words. */
  comparedTokens: 1_000_000,
  /** Levels of objects and lists in a JSON body. */
  jsonDepth: 100,
  /** Conditions and list values of a filter. */
  filterNodes: 10_000,
  /** Conditions of a filter times documents: each condition reads one column. */
  filterTests: 100_000_000,
  /** Steps (see {@link searchSteps}) above which a search waits its turn behind others of its kind; some 10 ms. */
  lightSteps: 2_000_000,
  heavySearchesWaiting: 16,
  /**
   * Longest time of a search, and the budget of one that names none. A phrase may have to read thousands of stored texts, and
   * all clients share one thread.
   */
  budgetMs: 2_000,
  /** Passages that one request may have reranked. */
  rerankDepth: 200,
  rerankingWaiting: 16,
  encodingsWaiting: 16,
  /** Requests of documents being read at once; each holds one batch in memory. */
  uploads: 16,
  /** Size of an uploaded file, which is kept on the disk while it is read. */
  fileBytes: 256 * 1024 * 1024,
  /** Documents and characters of a batch. */
  batchDocuments: 256,
  batchCharacters: 4_000_000,
  snapshotsWaiting: 1,
  /** Time within which a body brings {@link LIMITS.bodyProgressBytes} more, or ends. */
  bodyIdleMs: 30_000,
  bodyProgressBytes: 1024,
  /** A gzip body may unpack to this many times its size, once it is larger than `unpackedBytes`. */
  unpackRatio: 100,
  unpackedBytes: 16 * 1024 * 1024,
  /** An id of 512 bytes, each percent-encoded, and some. */
  paramCharacters: 2048,
  /** Time that requests have to end when the server stops. */
  closeMs: 1000,
} as const;

/**
 * Estimates the work of a search from its request, without doing it.
 *
 * @returns elementary steps of some 5 ns each: a posting, a comparison, a value of a column
 * @throws WinnowError WINNOW_TOO_COSTLY naming the product and its limit
 */
export function searchSteps(
  options: Omit<SearchRequest, 'query'>,
  { queryTokens: tokens, documents }: SearchSize,
): number {
  const { k = SEARCH_OPTIONS.k.default, offset = SEARCH_OPTIONS.offset.default } = options;
  const { rankDepth = SEARCH_OPTIONS.rankDepth.default, explain = false, facets = [], sort } = options;
  const pairs = tokens * k;
  if (explain && pairs > LIMITS.explainedTokens)
    throw tooCostly(
      'explain',
      `${tokens} query tokens x ${k} hits with explain`,
      pairs,
      LIMITS.explainedTokens,
    );
  if (pairs > LIMITS.comparedTokens)
    throw tooCostly('k', `${tokens} query tokens x ${k} hits`, pairs, LIMITS.comparedTokens);
  if (options.rerankDepth !== undefined && options.rerankDepth > LIMITS.rerankDepth)
    throw tooCostly('rerankDepth', 'passages to rerank', options.rerankDepth, LIMITS.rerankDepth);
  const { conditions, nodes } = options.filter ? countNodes(options.filter) : { conditions: 0, nodes: 0 };
  if (nodes > LIMITS.filterNodes)
    throw tooCostly('filter', 'conditions and list values', nodes, LIMITS.filterNodes);
  const tests = conditions * documents;
  if (tests > LIMITS.filterTests)
    throw tooCostly('filter', `${conditions} conditions x ${documents} documents`, tests, LIMITS.filterTests);
  // Counting reads the same postings in TypeScript.
  const scan = ((tokens * documents) / 16) * (options.total ? 4 : 1);
  const hits = pairs * (explain ? 50 : 1) + (k + offset) * 100 + k * 1000;
  const ordered = sort || facets.length > 0 ? rankDepth * (1 + facets.length) * 10 : 0;
  return scan + hits + tests + ordered;
}

/** Conditions read a column each; nodes are what a filter is written with. Shapes are checked when it is compiled. */
function countNodes(filter: Filter): { conditions: number; nodes: number } {
  let conditions = 0;
  let nodes = 0;
  const waiting: unknown[] = [filter];
  while (waiting.length > 0 && nodes <= LIMITS.filterNodes) {
    const one = waiting.pop();
    if (typeof one !== 'object' || one === null) continue;
    for (const [name, value] of Object.entries(one)) {
      nodes++;
      if (name === 'and' || name === 'or') {
        if (Array.isArray(value)) for (const inner of value) waiting.push(inner);
      } else if (name === 'not') waiting.push(value);
      else {
        conditions++;
        nodes += operandCount(value);
      }
    }
  }
  return { conditions, nodes };
}

function operandCount(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, one) => sum + (Array.isArray(one) ? one.length : 1), 0);
}

const tooCostly = (place: string, product: string, value: number, limit: number): WinnowError =>
  new WinnowError('WINNOW_TOO_COSTLY', `${product}: ${value}, and at most ${limit} are allowed`, {
    place,
    hint: 'ask for fewer hits, a shorter query or fewer conditions',
  });
