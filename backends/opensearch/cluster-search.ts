import { parseStoredId } from '../../indexer/format/stored-id.ts';
import { Deadline } from '../../query/deadline.ts';
import { countValues, declaredField } from '../../query/filter/fields.ts';
import type { Hydrator } from '../../query/hydrate/hydrator.ts';
import { SEARCH_OPTIONS, type SearchMode, type SearchOptions } from '../../query/request.ts';
import { rerank, rerankNow, stageDepths } from '../../query/rerank/rerank.ts';
import type { InstantStage, RerankStage } from '../../query/rerank/stage.ts';
import type { SearchResponse } from '../../query/response.ts';
import { bestOfEachSource, countFacets, sortStage } from '../../query/search/page-stages.ts';
import { StageClock } from '../../query/search/stage-clock.ts';
import type { ClusterIndex } from './cluster-index.ts';
import type { DocumentFetcher, FetchedDoc } from './fetched-docs.ts';
import { MAX_RESULT_WINDOW } from './mapping.ts';
import type { PreparedQuery, QueryPreparer } from './prepared-query.ts';
import type { ClusterRankings, RankedHit, Ranking, RankingOptions } from './rankings.ts';

/** Shares of a time budget, as in the embedded backend. */
const RETRIEVAL_SHARE = 0.8;
const FIRST_STAGE_SHARE = 0.3;
/** Documents ranked per document that is wanted, where passages of one source are joined. */
const SPARE_DEPTH = 4;

/** How the documents that were found are reordered. */
export type Reranking =
  | { readonly kind: 'none' }
  /** The stage that sparse searches have without asking for it. */
  | { readonly kind: 'instant'; readonly stage: InstantStage }
  | { readonly kind: 'stages'; readonly stages: readonly RerankStage[] };

export interface ScoredId {
  /** Stored id. */
  readonly id: string;
  readonly score: number;
}

/** A search from request to response. The cluster finds and filters; weights, reranking, snippets and explanations are made here. */
export class ClusterSearch {
  private readonly index: ClusterIndex;
  private readonly preparer: QueryPreparer;
  private readonly rankings: ClusterRankings;
  private readonly fetcher: DocumentFetcher;
  private readonly hydrator: Hydrator;

  constructor(
    index: ClusterIndex,
    parts: {
      readonly preparer: QueryPreparer;
      readonly rankings: ClusterRankings;
      readonly fetcher: DocumentFetcher;
      readonly hydrator: Hydrator;
    },
  ) {
    this.index = index;
    this.preparer = parts.preparer;
    this.rankings = parts.rankings;
    this.fetcher = parts.fetcher;
    this.hydrator = parts.hydrator;
  }

  /** @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_FILTER_FIELD, WINNOW_CLUSTER; the signal's reason */
  async run(
    query: string,
    options: SearchOptions,
    reranking: Reranking,
    signal?: AbortSignal,
  ): Promise<SearchResponse> {
    const plan = this.plan(options);
    const prepared = await this.preparer.prepare(query, options, signal);
    plan.clock.lap('encodeUs');
    const stages = stagesOf(reranking, prepared.mode);
    const deepest = stages.length > 0 ? Math.max(...stageDepths(stages, options.rerankDepth)) : 0;
    const deadline = plan.until(reranking.kind === 'stages' ? FIRST_STAGE_SHARE : RETRIEVAL_SHARE);
    const found = await this.find(prepared, plan, options, { deadline, signal, depth: deepest });
    plan.clock.lap('searchUs');
    if (stages.length === 0) return this.show(plan, prepared, found, found.hits, signal);
    return this.showReranked(plan, prepared, found, stages, options, signal);
  }

  /** The k best documents of a plain query, without their stored fields. */
  async rank(
    query: string,
    mode: SearchMode,
    k: number,
    options: SearchOptions,
    reranking: Reranking,
  ): Promise<readonly ScoredId[]> {
    const prepared = await this.preparer.plain(query, mode, options);
    const stages = stagesOf(reranking, mode);
    const depths = stages.length > 0 ? stageDepths(stages, options.rerankDepth) : [];
    const { hits } = await this.rankings.rank(prepared, {
      ...options,
      depth: Math.max(k, ...depths),
      withSource: stages.length > 0,
      fields: [],
      deadline: new Deadline(options.budgetMs),
    });
    if (stages.length === 0) return hits.slice(0, k);
    const { docs, generation } = await this.fetcher.fetch(hits);
    const deadline = new Deadline(options.budgetMs);
    const reordered = await rerank({ ...prepared, generation }, docs, stages, {
      depth: options.rerankDepth,
      deadline,
    });
    return reordered.docs.slice(0, k);
  }

  private async showReranked(
    plan: Plan,
    prepared: PreparedQuery,
    found: Ranking,
    stages: readonly RerankStage[],
    { rerankDepth: depth, minRelevance, rerank: isWanted }: SearchOptions,
    signal: AbortSignal | undefined,
  ): Promise<SearchResponse> {
    const { docs: all, generation } = await this.fetcher.fetch(found.hits, signal);
    const search = { ...prepared, generation };
    const [first] = stages;
    if (!isWanted) {
      const docs = rerankNow(search, all, first as InstantStage);
      plan.clock.lap('rerankUs');
      return this.finish(plan, prepared, found, { generation, page: plan.page(docs), counted: docs });
    }
    const deadline = plan.until(RETRIEVAL_SHARE);
    const { docs, reranked } = await rerank(search, all, stages, { depth, deadline, signal });
    plan.clock.lap('rerankUs');
    const relevant =
      minRelevance === undefined ? docs : docs.filter(({ relevance = -1 }) => relevance >= minRelevance);
    const wasCut = reranked < Math.min(stageDepths(stages, depth).at(-1)!, all.length);
    const cut = { ...found, complete: found.complete && !wasCut };
    const response = this.finish(plan, prepared, cut, {
      generation,
      page: plan.page(relevant),
      counted: relevant,
    });
    return { ...response, reranked };
  }

  private async show(
    plan: Plan,
    prepared: PreparedQuery,
    found: Ranking,
    hits: readonly RankedHit[],
    signal: AbortSignal | undefined,
  ): Promise<SearchResponse> {
    const { docs, generation } = await this.fetcher.fetch(plan.page(hits), signal);
    return this.finish(plan, prepared, found, { generation, page: docs, counted: hits });
  }

  private finish(
    plan: Plan,
    prepared: PreparedQuery,
    found: Ranking,
    shown: {
      readonly generation: Awaited<ReturnType<DocumentFetcher['fetch']>>['generation'];
      readonly page: readonly FetchedDoc[];
      readonly counted: readonly Pick<RankedHit, 'values'>[];
    },
  ): SearchResponse {
    const { generation, page, counted } = shown;
    const { hits, complete } = this.hydrator.hydrate(
      { ...prepared, generation },
      page,
      plan.hits,
      plan.until(1),
    );
    const notices = [...prepared.notices, ...found.notices];
    const { filterFields } = this.index.settings;
    const ranked = counted.slice(0, plan.rankDepth);
    const counts = countFacets(plan.facets, filterFields, (field) =>
      countValues(ranked, (hit) => valuesOf(hit, field)),
    );
    plan.clock.lap('hydrateUs');
    return {
      hits,
      mode: prepared.mode,
      complete: complete && found.complete,
      ...(notices.length > 0 ? { notices } : {}),
      ...(plan.facets.length > 0 ? { facets: counts } : {}),
      ...plan.clock.times(),
    };
  }

  /** Ranks deeper until there are as many sources as wanted. */
  private async find(
    prepared: PreparedQuery,
    { documents, sources, fields }: Plan,
    options: SearchOptions,
    limits: Pick<RankingOptions, 'deadline' | 'signal' | 'depth'>,
  ): Promise<Ranking> {
    let depth = Math.max(1, documents, limits.depth, sources * SPARE_DEPTH);
    for (;;) {
      depth = Math.min(depth, MAX_RESULT_WINDOW);
      const ranking = await this.rankings.rank(prepared, { ...options, ...limits, depth, fields });
      const { hits, complete } = ranking;
      const isAll = hits.length < depth || !complete;
      if (isAll || new Set(hits.map(({ id }) => parseStoredId(id).id)).size >= sources) return ranking;
      if (depth >= MAX_RESULT_WINDOW) return { ...ranking, complete: false };
      depth *= SPARE_DEPTH;
    }
  }

  /** What a request says about the documents to find and to show. */
  private plan(options: SearchOptions): Plan {
    const clock = new StageClock();
    const { started } = clock;
    const { budgetMs, groupByParent = SEARCH_OPTIONS.groupByParent.default } = options;
    const {
      k = SEARCH_OPTIONS.k.default,
      offset = SEARCH_OPTIONS.offset.default,
      rankDepth = SEARCH_OPTIONS.rankDepth.default,
    } = options;
    const { filterFields } = this.index.settings;
    const sort = sortStage<Pick<RankedHit, 'values'>>(options.sort, filterFields, rankDepth, valuesOf);
    const facets = (options.facets ?? []).map((name) => declaredField(filterFields, name, 'facets'));
    const sorted = options.sort ? [declaredField(filterFields, options.sort.field, 'sort.field')] : [];
    const end = offset + k;
    return {
      clock,
      until: (share) => new Deadline(budgetMs && budgetMs * share - (performance.now() - started)),
      // Sorting and counting look at the same documents whichever page is requested.
      documents: Math.max(sort || facets.length > 0 ? rankDepth : 0, sort ? 0 : end),
      sources: groupByParent ? (sort ? 0 : end) : 0,
      page: (docs) => {
        const inOrder = sort ? (sort(docs) as typeof docs) : docs;
        return (groupByParent ? bestOfEachSource(inOrder) : inOrder).slice(offset, end);
      },
      fields: [...new Set([...facets, ...sorted])],
      facets,
      rankDepth,
      hits: options,
    };
  }
}

const valuesOf = ({ values }: Pick<RankedHit, 'values'>, field: number) => values[field] ?? [];

function stagesOf(reranking: Reranking, mode: SearchMode): readonly RerankStage[] {
  if (reranking.kind === 'stages') return reranking.stages;
  return reranking.kind === 'instant' && mode === 'sparse' ? [reranking.stage] : [];
}

/** A request, read. */
interface Plan {
  readonly clock: StageClock;
  /** The end of a share of the time budget, 0..1. */
  readonly until: (share: number) => Deadline;
  /** Documents that are wanted at least. */
  readonly documents: number;
  /** Different sources among them. */
  readonly sources: number;
  /** Sorts, groups and pages. */
  readonly page: <Doc extends Pick<RankedHit, 'id' | 'values'>>(docs: readonly Doc[]) => readonly Doc[];
  /** Numbers of the declared fields to read with the ranking. */
  readonly fields: readonly number[];
  /** Those of them to count. */
  readonly facets: readonly number[];
  readonly rankDepth: number;
  /** What hits are made of. */
  readonly hits: Pick<SearchOptions, 'explain' | 'highlight' | 'fields'>;
}
