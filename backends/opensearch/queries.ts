import type { ParsedFilter, ValueTest } from '../../query/filter/parse-filter.ts';
import type { TextCondition } from '../../query/text/operators.ts';
import type { QuantizedQuery } from '../../query/weights/quantized-query.ts';
import { FIELDS, filterFieldName, MAX_CLAUSES, MAX_RESCORE_WINDOW, termName } from './mapping.ts';

/** A query in the language of the cluster. */
export type ClusterQuery = Readonly<Record<string, unknown>>;

/** Which documents may be hits. */
export interface Restriction {
  /** Neither scores. */
  readonly filter: readonly ClusterQuery[];
  readonly mustNot: readonly ClusterQuery[];
  /** Clauses that both take, of those that a query may have. */
  readonly clauses: number;
}

/** What a ranking is made of. */
export interface ScoringClause {
  readonly query: ClusterQuery;
  /** How much it can add to a score, compared with the others. */
  readonly weight: number;
}

/** A ranking: a query, and what its best documents are scored by in addition. */
export interface RankingBody {
  readonly query: ClusterQuery;
  readonly rescore?: readonly object[];
  /** Clauses that only rescore; more than 0 where the query has more than the cluster takes, or where that was asked for. */
  readonly rescoring: number;
}

/** Clauses kept free for what the cluster adds itself. */
const SPARE_CLAUSES = 16;

/** Heaviest tokens of a query whose lists are followed in an approximate search; the plugin's own default is 10. */
const TOKENS_FOLLOWED = 16;

/** Documents of a shard that the second phase scores per document that is wanted, where it was asked for, and the least. */
const RESCORED_PER_HIT = 20;
const LEAST_RESCORED = 200;

/** Clauses of one rescoring query. */
const RESCORE_CLAUSES = MAX_CLAUSES - SPARE_CLAUSES;

/** The score is the sum of query weight times impact: both are whole numbers, so that the sum is the same everywhere. */
export function sparseClauses({ termIds, weights }: QuantizedQuery): ScoringClause[] {
  return Array.from(termIds, (termId, i) => ({
    query: {
      rank_feature: { field: `${FIELDS.sparse}.${termName(termId)}`, linear: {}, boost: weights[i]! },
    },
    weight: weights[i]!,
  }));
}

/** @param words analysed; a word given twice counts twice */
export function wordClauses(words: readonly string[]): ScoringClause[] {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  // Long words are rare ones, nearly always. Which words go first matters only for queries of more than a thousand.
  return [...counts].map(([word, boost]) => ({
    query: { term: { [FIELDS.words]: { value: word, boost } } },
    weight: boost * word.length,
  }));
}

/**
 * All documents that have one of the clauses, by the sum of their scores.
 *
 * In two phases where there are more clauses than the cluster takes, or where `lightest` says so: the documents are found by the heaviest
 * clauses, and the best of each shard are scored by all.
 *
 * @param lightest clauses below this share of the heaviest only rescore; 0: none
 * @param depth documents that are wanted
 * @returns undefined without clauses: nothing is a hit
 */
export function rankingBody(
  clauses: readonly ScoringClause[],
  { filter, mustNot, clauses: used }: Restriction,
  lightest: number,
  depth: number,
): RankingBody | undefined {
  if (clauses.length === 0) return undefined;
  const sorted = [...clauses].sort((a, b) => b.weight - a.weight);
  const least = lightest * sorted[0]!.weight;
  const room = Math.max(1, MAX_CLAUSES - SPARE_CLAUSES - used);
  const heavy = sorted.slice(0, room).filter(({ weight }) => weight >= least);
  const light = sorted.slice(heavy.length);
  const query = {
    bool: {
      should: heavy.map((clause) => clause.query),
      minimum_should_match: 1,
      ...(filter.length > 0 ? { filter } : {}),
      ...(mustNot.length > 0 ? { must_not: mustNot } : {}),
    },
  };
  if (light.length === 0) return { query, rescoring: 0 };
  const window =
    light.length > sorted.length - room
      ? Math.min(MAX_RESCORE_WINDOW, Math.max(LEAST_RESCORED, RESCORED_PER_HIT * depth))
      : MAX_RESCORE_WINDOW;
  const rescore: object[] = [];
  for (let from = 0; from < light.length; from += RESCORE_CLAUSES)
    rescore.push({
      window_size: window,
      query: {
        rescore_query: {
          bool: { should: light.slice(from, from + RESCORE_CLAUSES).map((clause) => clause.query) },
        },
        score_mode: 'total',
      },
    });
  return { query, rescore, rescoring: light.length };
}

/**
 * The best documents of a `sparse_vector` field, by the exact scores of those of each shard that were found.
 *
 * @param k documents to find, 1..{@link MAX_RESCORE_WINDOW}
 */
export function approximateBody(
  { termIds, weights, scale }: QuantizedQuery,
  { filter, mustNot }: Restriction,
  k: number,
): RankingBody {
  const isFiltered = filter.length + mustNot.length > 0;
  return {
    query: {
      neural_sparse: {
        [FIELDS.approximate]: {
          query_tokens: Object.fromEntries(Array.from(termIds, (id, i) => [id, weights[i]! / scale])),
          method_parameters: {
            k,
            top_n: TOKENS_FOLLOWED,
            heap_factor: 1,
            ...(isFiltered ? { filter: { bool: { filter, must_not: mustNot } } } : {}),
          },
        },
      },
    },
    rescore: [
      {
        window_size: k,
        query: {
          rescore_query: {
            bool: { should: sparseClauses({ termIds, weights, scale }).map(({ query }) => query) },
          },
          query_weight: 0,
          rescore_query_weight: 1,
        },
      },
    ],
    rescoring: 0,
  };
}

/** @param conditions number of conditions on fields that the filter has */
export function restriction(
  filter: { readonly parsed: ParsedFilter; readonly conditions: number } | undefined,
  conditions: readonly TextCondition[],
): Restriction {
  const phrases = conditions.map(({ kind, words }) => ({ kind, query: phraseQuery(words) }));
  const ofKind = (wanted: TextCondition['kind']) =>
    phrases.filter(({ kind }) => kind === wanted).map(({ query }) => query);
  return {
    filter: [...(filter ? [filterQuery(filter.parsed)] : []), ...ofKind('phrase')],
    mustNot: ofKind('exclusion'),
    clauses: (filter?.conditions ?? 0) + conditions.reduce((sum, { words }) => sum + words.length, 0),
  };
}

/** Documents that have the words in sequence, in their title or in their text. */
const phraseQuery = (words: readonly string[]): ClusterQuery =>
  words.length === 1
    ? { term: { [FIELDS.phrases]: words[0]! } }
    : { match_phrase: { [FIELDS.phrases]: words.join(' ') } };

/** A filter in the language of the cluster. */
export function filterQuery(filter: ParsedFilter): ClusterQuery {
  switch (filter.kind) {
    case 'and':
      return { bool: { filter: filter.parts.map(filterQuery) } };
    case 'or':
      return { bool: { should: filter.parts.map(filterQuery), minimum_should_match: 1 } };
    case 'not':
      return { bool: { must_not: [filterQuery(filter.part)] } };
    case 'field': {
      const field = filterFieldName(filter.index);
      const tests = filter.tests.map((test) => testQuery(field, test));
      return tests.length === 1 ? tests[0]! : { bool: { filter: tests } };
    }
  }
}

function testQuery(field: string, test: ValueTest): ClusterQuery {
  switch (test.kind) {
    case 'in':
      return { terms: { [field]: [...test.values] } };
    case 'exists': {
      const exists = { exists: { field } };
      return test.exists ? exists : { bool: { must_not: [exists] } };
    }
    default:
      return { range: { [field]: { [test.kind]: test.bound } } };
  }
}
