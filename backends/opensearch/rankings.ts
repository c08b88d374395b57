import { parseStoredId } from '../../indexer/format/stored-id.ts';
import type { FieldValues } from '../../indexer/segment/filter-columns.ts';
import type { Deadline } from '../../query/deadline.ts';
import { SEARCH_OPTIONS, type SearchOptions } from '../../query/request.ts';
import type { Notice } from '../../query/response.ts';
import { BM25_K1 } from '../../query/retrieve/bm25.ts';
import { FUSED_DEPTH, type FusedDoc, type FusedList, fuse } from '../../query/retrieve/fusion.ts';
import { analyze } from '../../query/text/english-analyzer.ts';
import { type ClusterSource, keyOf } from './cluster-document.ts';
import { type ClusterHit, type ClusterIndex, type ClusterResponse, missingShards } from './cluster-index.ts';
import { FIELDS, filterFieldName, MAX_CLAUSES, MAX_RESCORE_WINDOW, MAX_RESULT_WINDOW } from './mapping.ts';
import type { PreparedQuery } from './prepared-query.ts';
import { approximateBody, type RankingBody, rankingBody, sparseClauses, wordClauses } from './queries.ts';

/** A document of a ranking, before its stored fields are read. */
export interface RankedHit {
  /** Stored id. */
  readonly id: string;
  readonly score: number;
  readonly key: string;
  readonly routing: string;
  /** By number of a declared field that was asked for. */
  readonly values: readonly FieldValues[];
  /** Where it came with the ranking. */
  readonly source?: ClusterSource | undefined;
}

export interface Ranking {
  readonly hits: readonly RankedHit[];
  /** False when the time ended the search early or shards did not answer: better documents may exist. */
  readonly complete: boolean;
  readonly notices: readonly Notice[];
}

/** What is read of each document of a ranking. */
export interface RankingOptions {
  readonly depth: number;
  /** Whether stored fields may come with the ranking. Reading them costs the cluster more than finding the documents. Default true. */
  readonly withSource?: boolean;
  /** Numbers of declared fields. */
  readonly fields: readonly number[];
  readonly deadline: Deadline;
  readonly signal?: AbortSignal | undefined;
  readonly fusion?: SearchOptions['fusion'];
  readonly sparseWeight?: number | undefined;
  readonly scan?: SearchOptions['scan'];
}

/** Up to this depth stored fields come with the ranking, which saves a trip; deeper, most would be read for nothing. */
const FIELDS_UP_TO = 50;

/** OpenSearch 2 multiplies scores of BM25 by k1 + 1, later versions do not. */
const OLD_BM25_FACTOR = BM25_K1 + 1;

/** Finds the first documents of rankings. */
export class ClusterRankings {
  private readonly index: ClusterIndex;
  private readonly lightest: number;

  /** @param lightest tokens below this share of the heaviest only rescore; 0: none */
  constructor(index: ClusterIndex, lightest: number) {
    this.index = index;
    this.lightest = lightest;
  }

  /** @throws WinnowError WINNOW_CLUSTER, the signal's reason */
  async rank(query: PreparedQuery, options: RankingOptions): Promise<Ranking> {
    if (query.mode === 'hybrid') return this.hybrid(query, options);
    const made = this.found(query, query.mode, options);
    if (!made) return { hits: [], complete: true, notices: [] };
    const withSource = options.withSource !== false && options.depth <= FIELDS_UP_TO;
    const answer = await this.index.search(this.request(made, options, withSource), {
      signal: options.signal,
      partial: true,
      // Frequencies of words are those of the whole index, not those of each shard.
      query: query.mode === 'bm25' ? { search_type: 'dfs_query_then_fetch' } : {},
    });
    return this.ranking(query, query.mode, made, answer, options);
  }

  /** As {@link body}, or approximately where the index can do that and the search allows it. */
  private found(
    query: PreparedQuery,
    mode: 'sparse' | 'bm25',
    { depth, scan }: Pick<RankingOptions, 'depth' | 'scan'>,
  ): RankingBody | undefined {
    const { termIds } = query.quantized;
    const isApproximate =
      mode === 'sparse' && this.index.forms.approximate && scan !== 'exact' && depth <= MAX_RESCORE_WINDOW;
    if (!isApproximate || termIds.length === 0 || termIds.length > MAX_CLAUSES / 2)
      return this.body(query, mode, depth);
    return approximateBody(query.quantized, query.restriction, depth);
  }

  /** The query of one ranking; undefined where nothing can be a hit. */
  body(
    { text, quantized, restriction }: PreparedQuery,
    mode: 'sparse' | 'bm25',
    depth = 1,
  ): RankingBody | undefined {
    const clauses = mode === 'sparse' ? sparseClauses(quantized) : wordClauses(analyze(text));
    return rankingBody(clauses, restriction, this.lightest, depth);
  }

  /** The score that users see. @param score of the cluster */
  toScore(score: number, mode: 'sparse' | 'bm25', { quantized }: Pick<PreparedQuery, 'quantized'>): number {
    if (mode === 'sparse') return (score * this.index.settings.impactScale) / quantized.scale;
    return this.index.majorVersion < 3 ? score / OLD_BM25_FACTOR : score;
  }

  private async hybrid(query: PreparedQuery, options: RankingOptions): Promise<Ranking> {
    const depth = Math.max(options.depth, FUSED_DEPTH);
    const modes = (['sparse', 'bm25'] as const).flatMap((mode) => {
      const made = this.found(query, mode, { ...options, depth });
      return made ? [{ mode, made }] : [];
    });
    const bodies = modes.map(({ made }) => this.request(made, { ...options, depth }, false));
    const { signal } = options;
    const answers =
      bodies.length > 0 ? await this.index.searches(bodies, { signal, dfs: true, partial: true }) : [];
    const rankings = modes.map(({ mode, made }, i) => ({
      mode,
      ...this.ranking(query, mode, made, answers[i]!, { ...options, depth }),
    }));
    const { fusion = SEARCH_OPTIONS.fusion.default } = options;
    const { sparseWeight = SEARCH_OPTIONS.sparseWeight.default } = options;
    const lists = rankings.map(({ hits }) => hits);
    const hitOf = ({ list, rank }: FusedDoc): RankedHit => lists[list]![rank]!;
    const fused = fuse(
      fusedLists(lists),
      rankings.map(({ mode }) => (mode === 'sparse' ? sparseWeight : 1 - sparseWeight)),
      fusion,
      options.depth,
      (a, b) => hitOf(a).id < hitOf(b).id,
    );
    return {
      hits: fused.map((doc) => ({ ...hitOf(doc), score: doc.score })),
      complete: rankings.every(({ complete }) => complete),
      notices: distinct(rankings.flatMap(({ notices }) => notices)),
    };
  }

  private request(
    { query, rescore }: RankingBody,
    { depth, fields, deadline }: RankingOptions,
    withSource: boolean,
  ): object {
    const leftMs = deadline.remainingUs / 1000;
    return {
      query,
      size: Math.min(depth, MAX_RESULT_WINDOW),
      track_total_hits: false,
      // Without `_id`, which follows from the stored id, a ranking reads nothing that is stored: that takes longer than finding it.
      // And all of `_source` is sooner there than a part of it, for which the cluster has to parse it.
      ...(withSource ? { _source: true } : { _source: false, stored_fields: '_none_' }),
      docvalue_fields: [...(rescore ? [FIELDS.storedId] : []), ...fields.map(filterFieldName)],
      // A rescored ranking cannot be sorted by the cluster; equal scores are put in order here.
      ...(rescore ? { rescore } : { sort: [{ _score: 'desc' }, { [FIELDS.storedId]: 'asc' }] }),
      ...(Number.isFinite(leftMs) ? { timeout: `${Math.max(1, Math.ceil(leftMs))}ms` } : {}),
    };
  }

  private ranking(
    query: PreparedQuery,
    mode: 'sparse' | 'bm25',
    made: RankingBody,
    answer: ClusterResponse,
    { fields }: RankingOptions,
  ): Ranking {
    const hits = answer.hits.hits.map((hit) =>
      this.hit(hit, this.toScore(hit._score ?? 0, mode, query), fields),
    );
    if (made.rescore) hits.sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
    const missing = missingShards(answer._shards);
    return {
      hits,
      complete: missing === 0 && !answer.timed_out,
      notices: [
        ...(missing > 0 ? [shardsFailed(missing, answer._shards.total)] : []),
        ...(made.rescoring > 0 && this.lightest === 0 ? [heaviestFirst(made.rescoring)] : []),
      ],
    };
  }

  private hit(
    { sort, fields = {}, _source: source }: ClusterHit,
    score: number,
    wanted: readonly number[],
  ): RankedHit {
    // What a hit was sorted by has its stored id.
    const id = String(sort?.[1] ?? fields[FIELDS.storedId]![0]);
    const values: FieldValues[] = [];
    for (const index of wanted) values[index] = fields[filterFieldName(index)] ?? [];
    return { id, score, key: keyOf(id), routing: parseStoredId(id).id, values, source };
  }
}

const distinct = (notices: readonly Notice[]): Notice[] => [
  ...new Map(notices.map((notice) => [notice.message, notice])).values(),
];

const shardsFailed = (failed: number, total: number): Notice => ({
  code: 'shards-failed',
  message: `${failed} of ${total} shards of the cluster did not answer; documents that they hold are missing`,
});

const heaviestFirst = (rescoring: number): Notice => ({
  code: 'heaviest-first',
  message: `the query is longer than the cluster takes: documents were found without its ${rescoring} lightest tokens, and scored by all`,
});

/** The rankings as a fusion reads them: each id has a number. */
function fusedLists(lists: readonly (readonly RankedHit[])[]): FusedList[] {
  const numbers = new Map<string, number>();
  const numberOf = (id: string): number => {
    const number = numbers.get(id) ?? numbers.size;
    numbers.set(id, number);
    return number;
  };
  return lists.map((hits) => ({
    keys: hits.map(({ id }) => numberOf(id)),
    scores: hits.map(({ score }) => score),
  }));
}
