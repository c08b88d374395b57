import type { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import { isLive } from '../../indexer/format/bitmap.ts';
import { type DocumentRef, parseStoredId, refOf } from '../../indexer/format/stored-id.ts';
import type { IndexStore } from '../../indexer/index-store.ts';
import { Deadline } from '../deadline.ts';
import { Hydrator } from '../hydrate/hydrator.ts';
import type { ExplainOptions, Filter, SearchMode, SearchOptions } from '../request.ts';
import type { InstantStage, RerankStage } from '../rerank/stage.ts';
import type { Explanation, SearchResponse } from '../response.ts';
import type { WordContribution } from '../retrieve/bm25.ts';
import type { ScoredDoc } from '../retrieve/retriever.ts';
import { SparseRetriever } from '../retrieve/sparse-retriever.ts';
import { KnownScripts } from '../text/known-scripts.ts';
import type { QuantizedQuery } from '../weights/quantized-query.ts';
import { CandidateFinder } from './candidates.ts';
import { Explainer } from './explainer.ts';
import { SearchPipeline } from './pipeline.ts';
import { SearchPreparer } from './prepared-search.ts';

/**
 * Searches one index, always its newest generation. Options are not checked here (`check-arguments.ts` does that for programs).
 *
 * Searches run to their end on the calling thread and share scratch memory, so a searcher belongs to one thread.
 */
export class Searcher {
  private readonly store: IndexStore;
  private readonly preparer: SearchPreparer;
  private readonly candidates: CandidateFinder;
  private readonly pipeline: SearchPipeline;
  private readonly explainer: Explainer;

  /** @param defaultMode of searches that name none */
  constructor(store: IndexStore, encoder: IdfQueryEncoder, defaultMode: SearchMode = 'sparse') {
    const { impactScale } = store.settings;
    const { tokenizer } = encoder;
    const sparse = new SparseRetriever(encoder, impactScale);
    const scripts = new KnownScripts(tokenizer);
    const hydrator = new Hydrator(encoder, impactScale, store.path);
    this.store = store;
    this.preparer = new SearchPreparer(sparse, scripts, defaultMode);
    this.candidates = new CandidateFinder(sparse);
    this.pipeline = new SearchPipeline(store, this.preparer, this.candidates, hydrator);
    const { preparer, candidates } = this;
    this.explainer = new Explainer(store, { preparer, candidates, sparse, hydrator, scripts });
  }

  /**
   * @param stage that reorders the best documents of sparse rankings
   * @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_FILTER_FIELD, WINNOW_INDEX_CORRUPT
   */
  search(query: string, options: SearchOptions = {}, stage?: InstantStage): SearchResponse {
    return this.pipeline.run(query, options, stage);
  }

  /** As {@link search}, with the best documents reordered. @throws also the signal's reason and what the stages throw */
  searchReranked(
    query: string,
    options: SearchOptions,
    stages: readonly RerankStage[],
    signal?: AbortSignal,
  ): Promise<SearchResponse> {
    return this.pipeline.runReranked(query, options, stages, signal);
  }

  /** @throws WinnowError WINNOW_NOT_FOUND when the document is not in the index, WINNOW_BAD_ARGUMENT */
  explain(query: string, document: DocumentRef, options: ExplainOptions = {}): Explanation {
    return this.explainer.explain(query, refOf(document), options);
  }

  /** Ids of the sources with a live document that matches, each once. @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_FILTER_FIELD */
  sourcesMatching(filter: Filter): string[] {
    const view = this.store.view();
    const matches = this.preparer.matching(view, filter);
    const ids = new Set<string>();
    for (const one of view.segments) {
      const acceptBits = matches(one)?.acceptBits;
      for (let docId = 0; docId < one.segment.numDocs; docId++)
        if (isLive(acceptBits, docId)) ids.add(parseStoredId(one.segment.id(docId)).id);
    }
    return [...ids];
  }

  /** A document's BM25 score split by the words of the query. @param id stored id @throws WinnowError WINNOW_NOT_FOUND */
  explainWords(query: string, id: string): WordContribution[] {
    return this.explainer.explainWords(query, id);
  }

  /**
   * The k best documents of a ranking, without their stored fields. The query is plain text in the given mode, as test collections
   * mean it: no operators, no fallback to words.
   */
  rank(
    query: string,
    mode: SearchMode,
    k: number,
    options: SearchOptions = {},
    stage?: InstantStage,
  ): readonly ScoredDoc[] {
    return this.pipeline.rank(query, mode, k, options, stage);
  }

  /** As {@link rank}, with the best documents reordered stage by stage. */
  rankReranked(
    query: string,
    mode: SearchMode,
    k: number,
    options: SearchOptions,
    stages: readonly RerankStage[],
  ): Promise<readonly ScoredDoc[]> {
    return this.pipeline.rankReranked(query, mode, k, options, stages);
  }

  /** The k best documents for a query given as integer weights. */
  rankVector(quantized: QuantizedQuery, k: number, options: SearchOptions = {}): readonly ScoredDoc[] {
    const deadline = new Deadline(options.budgetMs);
    const search = this.preparer.plain(this.store.view(), '', 'bm25', options, deadline);
    return this.candidates.retrieve({ ...search, mode: 'sparse', quantized }, k).docs;
  }
}
