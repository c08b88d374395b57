import type { IndexStore } from '../../indexer/index-store.ts';
import { columnRow, type FieldValues } from '../../indexer/segment/filter-columns.ts';
import type { IndexView } from '../../indexer/store/index-view.ts';
import { Deadline } from '../deadline.ts';
import { ColumnCounts } from '../filter/column-counts.ts';
import { declaredField } from '../filter/fields.ts';
import type { Hydrator } from '../hydrate/hydrator.ts';
import { SEARCH_OPTIONS, type SearchMode, type SearchOptions } from '../request.ts';
import { rerank, rerankNow, stageDepths } from '../rerank/rerank.ts';
import type { InstantStage, RerankStage } from '../rerank/stage.ts';
import type { SearchResponse } from '../response.ts';
import { countMatches } from '../retrieve/match-count.ts';
import type { ScoredDoc } from '../retrieve/retriever.ts';
import type { CandidateFinder, Candidates, Wanted } from './candidates.ts';
import { bestOfEachSource, countFacets, type PageStage, sortStage } from './page-stages.ts';
import type { PreparedSearch, SearchPreparer } from './prepared-search.ts';
import { StageClock } from './stage-clock.ts';

/** Share of a time budget after which documents must be found and ordered; the rest is for making hits of them. */
const RETRIEVAL_SHARE = 0.8;
/** Share after which they must be found where they are reranked. */
const FIRST_STAGE_SHARE = 0.3;

/** A search from request to response: prepare, retrieve (and fuse), rerank, then the stages sort, group and page, then hydrate. */
export class SearchPipeline {
  private readonly store: IndexStore;
  private readonly preparer: SearchPreparer;
  private readonly candidates: CandidateFinder;
  private readonly hydrator: Hydrator;

  constructor(store: IndexStore, preparer: SearchPreparer, candidates: CandidateFinder, hydrator: Hydrator) {
    this.store = store;
    this.preparer = preparer;
    this.candidates = candidates;
    this.hydrator = hydrator;
  }

  /**
   * @param stage that reorders the best documents of sparse rankings
   * @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_FILTER_FIELD, WINNOW_INDEX_CORRUPT
   */
  run(query: string, options: SearchOptions, stage: InstantStage | undefined): SearchResponse {
    const plan = this.plan(options);
    const search = this.preparer.prepare(plan.view, query, options, plan.until(RETRIEVAL_SHARE));
    plan.clock.lap('encodeUs');
    const isReranked = stage !== undefined && search.mode === 'sparse';
    const { documents, sources } = plan.wanted;
    const depth = isReranked ? Math.max(documents, stage.settings.depth) : documents;
    const found = this.find(search, { documents: depth, sources }, options);
    plan.clock.lap('searchUs');
    if (!isReranked) return this.show(plan, search, found);
    const docs = rerankNow(search, found.docs, stage);
    plan.clock.lap('rerankUs');
    return this.show(plan, search, { ...found, docs });
  }

  /**
   * As {@link run}, with the best documents reordered stage by stage.
   *
   * @param stages one or more
   * @param signal ends the search when its answer is no longer needed
   * @throws also the signal's reason, and what the stages throw
   */
  async runReranked(
    query: string,
    options: SearchOptions,
    stages: readonly RerankStage[],
    signal?: AbortSignal,
  ): Promise<SearchResponse> {
    const plan = this.plan(options);
    // The view must last until the answer, while searches beside this one may take up newer ones.
    const view = plan.view.acquire();
    try {
      const search = this.preparer.prepare(view, query, options, plan.until(FIRST_STAGE_SHARE));
      plan.clock.lap('encodeUs');
      const { rerankDepth: depth, minRelevance } = options;
      const { documents, sources } = plan.wanted;
      const depths = stageDepths(stages, depth);
      const found = this.find(search, { documents: Math.max(documents, ...depths), sources }, options);
      plan.clock.lap('searchUs');
      const deadline = plan.until(RETRIEVAL_SHARE);
      const { docs, reranked } = await rerank(search, found.docs, stages, { depth, deadline, signal });
      plan.clock.lap('rerankUs');
      const relevant =
        minRelevance === undefined ? docs : docs.filter(({ relevance = -1 }) => relevance >= minRelevance);
      const wasCut = reranked < Math.min(depths.at(-1)!, found.docs.length);
      const shown = this.show(plan, search, {
        ...found,
        docs: relevant,
        complete: found.complete && !wasCut,
      });
      return { ...shown, reranked };
    } finally {
      view.release();
    }
  }

  /**
   * The k best documents of a ranking, without their stored fields; see `Searcher.rank`.
   *
   * @param stage as in {@link run}
   */
  rank(
    query: string,
    mode: SearchMode,
    k: number,
    options: SearchOptions,
    stage: InstantStage | undefined,
  ): readonly ScoredDoc[] {
    const deadline = new Deadline(options.budgetMs);
    const search = this.preparer.plain(this.store.view(), query, mode, options, deadline);
    if (!stage || mode !== 'sparse') return this.candidates.retrieve(search, k).docs;
    const { docs } = this.candidates.retrieve(search, Math.max(k, stage.settings.depth));
    return rerankNow(search, docs, stage).slice(0, k);
  }

  /** As {@link rank}, reordered stage by stage. @throws what {@link runReranked} throws */
  async rankReranked(
    query: string,
    mode: SearchMode,
    k: number,
    options: SearchOptions,
    stages: readonly RerankStage[],
  ): Promise<readonly ScoredDoc[]> {
    const deadline = new Deadline(options.budgetMs);
    const view = this.store.view().acquire();
    try {
      const search = this.preparer.plain(view, query, mode, options, deadline);
      const { rerankDepth: depth } = options;
      const { docs } = this.candidates.retrieve(search, Math.max(k, ...stageDepths(stages, depth)));
      return (await rerank(search, docs, stages, { depth, deadline })).docs.slice(0, k);
    } finally {
      view.release();
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
    const view = this.store.view();
    const { filterFields } = view.manifest.settings;
    const sort = sortStage(options.sort, filterFields, rankDepth, valuesOf);
    const facets = (options.facets ?? []).map((name) => declaredField(filterFields, name, 'facets'));
    const end = offset + k;
    return {
      clock,
      view,
      until: (share) => new Deadline(budgetMs && budgetMs * share - (performance.now() - started)),
      wanted: {
        // Sorting and counting look at the same documents whichever page is requested.
        documents: Math.max(sort || facets.length > 0 ? rankDepth : 0, sort ? 0 : end),
        sources: groupByParent ? (sort ? 0 : end) : 0,
      },
      stages: [sort, groupByParent ? bestOfEachSource : undefined, (docs) => docs.slice(offset, end)],
      facets,
      rankDepth,
      hits: options,
    };
  }

  private find(search: PreparedSearch, wanted: Wanted, { total }: SearchOptions): Found {
    const found = this.candidates.find(search, wanted);
    // Texts decide about phrases, and they are read for hits alone.
    if (!total || search.conditions?.needText) return found;
    return { ...found, total: countMatches(search, search.mode) };
  }

  /** Sorts, groups and pages documents, and makes hits of them. */
  private show(plan: Plan, search: PreparedSearch, found: Found): SearchResponse {
    const { stages, facets, rankDepth } = plan;
    const { filterFields } = plan.view.manifest.settings;
    const page = stages.reduce<readonly ScoredDoc[]>((docs, stage) => stage?.(docs) ?? docs, found.docs);
    const { hits, complete } = this.hydrator.hydrate(search, page, plan.hits, plan.until(1));
    const notices = [...search.notices, ...found.notices];
    const columns = new ColumnCounts(facets.length > 0 ? found.docs.slice(0, rankDepth) : []);
    const counts = countFacets(facets, filterFields, (field) => columns.of(field));
    plan.clock.lap('hydrateUs');
    return {
      hits,
      mode: search.mode,
      complete: complete && found.complete,
      ...(notices.length > 0 ? { notices } : {}),
      ...(facets.length > 0 ? { facets: counts } : {}),
      ...(found.total === undefined ? {} : { total: found.total }),
      ...plan.clock.times(),
    };
  }
}

const valuesOf = ({ view, docId }: ScoredDoc, field: number): FieldValues =>
  columnRow(view.segment.filterColumn(field), docId);

/** Documents that were found, and how many there are where that was asked for and is known. */
type Found = Candidates & { readonly total?: number | undefined };

/** A request, read against one view of the index. */
interface Plan {
  readonly clock: StageClock;
  readonly view: IndexView;
  /** The end of a share of the time budget, 0..1. */
  readonly until: (share: number) => Deadline;
  readonly wanted: Wanted;
  /** In the order in which they apply; undefined ones do nothing. */
  readonly stages: readonly (PageStage<ScoredDoc> | undefined)[];
  /** Numbers of the declared fields to count. */
  readonly facets: readonly number[];
  readonly rankDepth: number;
  /** What hits are made of. */
  readonly hits: Pick<SearchOptions, 'explain' | 'highlight' | 'fields'>;
}
