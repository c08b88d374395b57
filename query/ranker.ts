import type { IdfQueryEncoder } from '../encoder/idf-query.ts';
import type { Generation, SegmentView } from '../indexer/generation.ts';
import type { IndexStore } from '../indexer/index-store.ts';
import { type Accept, intersect } from './accept.ts';
import { bm25Query, bm25Search } from './bm25.ts';
import type { Deadline } from './deadline.ts';
import { analyze } from './english-analyzer.ts';
import { eachScore, exactForward, forwardIsCheaper, forwardScore, WINDOW_DOCS } from './exact-scan.ts';
import { compileFilter, FilterCache } from './filter.ts';
import { FUSED_DEPTH, fuse } from './fusion.ts';
import { type ImpactQuery, impactQuery } from './impact-query.ts';
import { type QueryIdf, queryWeights } from './query-weights.ts';
import { SEARCH_OPTIONS } from './request.ts';
import type { Located, ScanOptions, SearchMode, SearchOptions } from './search-types.ts';
import {
  PRUNED_FROM_DOCS,
  queryLists,
  type SegmentHits,
  searchSegment,
  sureThreshold,
} from './segment-search.ts';
import type { TextConditions } from './text-conditions.ts';

/** The first documents of a ranking. */
export interface Ranking {
  readonly located: readonly Located[];
  /** False when the time budget ran out first: better documents may exist. */
  readonly complete: boolean;
}

/** Which documents of a segment may be hits; undefined when the time budget ran out before that was known. */
type Acceptor = (view: SegmentView) => { readonly accept: Accept } | undefined;

/** A query over one generation, prepared for rankings of any depth. */
export interface PreparedQuery {
  readonly generation: Generation;
  readonly text: string;
  readonly impact: ImpactQuery;
  readonly mode: SearchMode;
  readonly accept: Acceptor;
  readonly deadline: Deadline;
  readonly options: RankingOptions;
}

export type RankingOptions = ScanOptions & Pick<SearchOptions, 'fusion' | 'sparseWeight'>;

const NOTHING: SegmentHits = { count: 0, docIds: [], scores: [], complete: false };

/** Rankings of an index: learned weights, words, and their fusion. A query has one ranking, cut off where it is asked to be. */
export class Ranker {
  private readonly store: IndexStore;
  private readonly encoder: IdfQueryEncoder;
  private readonly scores = new Uint32Array(WINDOW_DOCS);
  /** Scratch by termId, all zero between calls. */
  private readonly weights: Uint16Array;
  private readonly filters = new FilterCache();

  constructor(store: IndexStore, encoder: IdfQueryEncoder) {
    this.store = store;
    this.encoder = encoder;
    this.weights = new Uint16Array(encoder.tokenizer.vocabularySize);
  }

  impactQuery(generation: Generation, text: string, idf: QueryIdf = SEARCH_OPTIONS.idf.default): ImpactQuery {
    const { termIds, weights } = queryWeights(this.encoder, generation, text, idf);
    return impactQuery(termIds, weights);
  }

  /** The best `depth` documents. */
  rank(query: PreparedQuery, depth: number): Ranking {
    switch (query.mode) {
      case 'sparse':
        return this.sparse(query, depth);
      case 'bm25':
        return this.bm25(query, depth);
      case 'hybrid': {
        const listDepth = Math.max(depth, FUSED_DEPTH);
        const rankings = [this.sparse(query, listDepth), this.bm25(query, listDepth)];
        const lists = rankings.map(({ located }) => located);
        const byId = new Map(lists.flat().map((located) => [located.id, located]));
        const { fusion = SEARCH_OPTIONS.fusion.default, sparseWeight = SEARCH_OPTIONS.sparseWeight.default } =
          query.options;
        return {
          located: fuse(lists, [sparseWeight, 1 - sparseWeight], fusion)
            .slice(0, depth)
            .map(({ id, score }) => ({ ...byId.get(id)!, score })),
          complete: rankings.every(({ complete }) => complete),
        };
      }
    }
  }

  /** Which documents of each segment may be hits: alive, matching the filter, and passing what posting lists say of conditions. */
  acceptor(
    generation: Generation,
    filter: SearchOptions['filter'],
    conditions: TextConditions | undefined,
    deadline: Deadline,
  ): Acceptor {
    const matches = filter && this.filters.of(filter, compileFilter(filter, generation));
    return (view) => {
      const bitmap = matches ? matches(view, deadline) : view.live;
      if (matches && !bitmap) return undefined;
      return { accept: conditions ? intersect(bitmap, conditions.possible(view)) : bitmap };
    };
  }

  private sparse({ generation, impact, accept, deadline, options }: PreparedQuery, depth: number): Ranking {
    const { scan = SEARCH_OPTIONS.scan.default, alpha = SEARCH_OPTIONS.alpha.default } = options;
    const plans = generation.segments.map((view) => ({
      lists: queryLists(view.segment, impact),
      accepted: accept(view),
    }));
    // What `depth` hits of one segment reach, no hit of another need fall below.
    let threshold = 0;
    plans.forEach(({ lists, accepted }, i) => {
      const { impacts } = generation.segments[i]!.segment;
      if (accepted && !accepted.accept) threshold = Math.max(threshold, sureThreshold(impacts, lists, depth));
    });
    const toScore = (integer: number) => this.toScore(integer, impact);
    return perSegment(generation, depth, toScore, ({ segment }, i) => {
      const { lists, accepted } = plans[i]!;
      if (!accepted) return NOTHING;
      if (forwardIsCheaper(segment, lists, accepted.accept))
        return exactForward(segment, impact, accepted.accept, depth, this.weights, deadline);
      const pruned = scan === 'pruned' || (scan === 'auto' && segment.numDocs >= PRUNED_FROM_DOCS);
      const found = searchSegment(segment, {
        lists,
        accept: accepted.accept,
        k: depth,
        threshold,
        alpha: pruned ? alpha : undefined,
        deadline,
        scores: this.scores,
      });
      if (found.count === depth) threshold = Math.max(threshold, found.scores[depth - 1]!);
      return found;
    });
  }

  private bm25({ generation, text, accept, deadline }: PreparedQuery, depth: number): Ranking {
    const prepared = bm25Query(generation, analyze(text));
    let threshold = 0;
    return perSegment(
      generation,
      depth,
      (score) => score,
      (view) => {
        const accepted = accept(view);
        if (!accepted) return NOTHING;
        const found = bm25Search(view, prepared, accepted.accept, depth, threshold, deadline);
        if (found.count === depth) threshold = Math.max(threshold, found.scores[depth - 1]!);
        return found;
      },
    );
  }

  toScore(integer: number, query: ImpactQuery): number {
    return (integer * this.store.settings.impactScale) / query.scale;
  }

  integerScore(view: SegmentView, docId: number, query: ImpactQuery): number {
    query.termIds.forEach((termId, i) => {
      this.weights[termId] = query.weights[i]!;
    });
    const score = forwardScore(view.segment, docId, this.weights);
    for (const termId of query.termIds) this.weights[termId] = 0;
    return score;
  }

  /**
   * Counts the accepted documents that rank before (score, id) by learned weights, without ordering them.
   *
   * @param passes decides about one that scores better
   */
  countBefore(
    { generation, impact, accept, deadline }: PreparedQuery,
    score: number,
    id: string,
    passes: (view: SegmentView, docId: number) => boolean,
  ): number {
    let count = 0;
    for (const view of generation.segments) {
      const { segment } = view;
      eachScore(
        segment.impacts,
        queryLists(segment, impact),
        accept(view)?.accept,
        this.scores,
        deadline,
        (other, docId) => {
          const before = other > score || (other === score && segment.id(docId) < id);
          if (before && passes(view, docId)) count++;
          return score;
        },
      );
    }
    return count;
  }
}

/**
 * Joins each segment's best: higher scores first, ties by smaller id.
 *
 * @param toScore turns a segment's score into the one that users see
 */
function perSegment(
  generation: Generation,
  depth: number,
  toScore: (score: number) => number,
  scan: (view: SegmentView, segment: number) => SegmentHits,
): Ranking {
  const located: Located[] = [];
  let complete = true;
  generation.segments.forEach((view, segment) => {
    const hits = scan(view, segment);
    const { count, docIds, scores } = hits;
    complete &&= hits.complete;
    const { ids } = view.segment;
    for (let i = 0; i < count; i++) {
      const docId = docIds[i]!;
      located.push({ id: ids.get(docId), score: toScore(scores[i]!), view, docId });
    }
  });
  if (generation.segments.length === 1) return { located, complete };
  located.sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
  return { located: located.slice(0, depth), complete };
}
