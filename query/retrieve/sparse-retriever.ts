import type { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import type { IndexView, SegmentView } from '../../indexer/store/index-view.ts';
import { WINDOW_DOCS } from '../../kernels/search/layout.ts';
import { SEARCH_OPTIONS } from '../request.ts';
import { type QuantizedQuery, quantizeQuery } from '../weights/quantized-query.ts';
import { quantizeTokens } from '../weights/query-vector.ts';
import { type QueryIdf, queryWeights, tokenStatistics } from '../weights/query-weights.ts';
import { forEachScore, forwardScore, prefersForwardIndex, scoreAcceptedDocs } from './exact-scan.ts';
import { FilteredSearch } from './filtered-search.ts';
import { mergeTopDocs, type Ranking, type RetrievalQuery, type Retriever } from './retriever.ts';
import { initialThreshold, PRUNED_FROM_DOCS, queryLists, searchSegment } from './segment-search.ts';
import { type SegmentTopDocs, UNKNOWN } from './top-k.ts';

/** Ranks by learned weights, in integers, so that every backend of the kernels gives the same ranking. Not reentrant. */
export class SparseRetriever implements Retriever {
  private readonly encoder: IdfQueryEncoder;
  private readonly impactScale: number;
  private readonly filtered = new FilteredSearch();
  /** Scratch of scans, all zero between calls. */
  private readonly scores = new Uint32Array(WINDOW_DOCS);
  /** Scratch by termId, all zero between calls. */
  private readonly weights: Uint16Array;

  /** @param impactScale weight = impact * impactScale */
  constructor(encoder: IdfQueryEncoder, impactScale: number) {
    this.encoder = encoder;
    this.impactScale = impactScale;
    this.weights = new Uint16Array(encoder.tokenizer.vocabularySize);
  }

  quantize(generation: IndexView, text: string, idf: QueryIdf = SEARCH_OPTIONS.idf.default): QuantizedQuery {
    const { termIds, weights } = queryWeights(this.encoder, tokenStatistics(generation), text, idf);
    return quantizeQuery(termIds, weights);
  }

  /** @throws WinnowError WINNOW_BAD_ARGUMENT for a token that the vocabulary lacks, a weight that is no number >= 0, or too many tokens */
  quantizeVector(vector: Readonly<Record<string, number>>): QuantizedQuery {
    return quantizeTokens(vector, this.encoder.tokenizer);
  }

  retrieve(query: RetrievalQuery, depth: number): Ranking {
    const { generation, quantized, filter, deadline, options } = query;
    const { scan = SEARCH_OPTIONS.scan.default, alpha = SEARCH_OPTIONS.alpha.default } = options;
    const plans = generation.segments.map((view) => ({
      lists: queryLists(view.segment, quantized),
      accepted: filter(view),
    }));
    // A lower bound on the k-th best score in one segment is one for the whole index, so all segments prune with the largest.
    let threshold = 0;
    plans.forEach(({ lists, accepted }, i) => {
      if (!accepted) return;
      const { segment } = generation.segments[i]!;
      const { acceptBits } = accepted;
      if (acceptBits) this.filtered.begin(acceptBits);
      const known = acceptBits
        ? this.filtered.threshold(segment, acceptBits, lists, depth)
        : initialThreshold(segment.impacts, lists, depth);
      threshold = Math.max(threshold, known);
    });
    const toScore = (integer: number) => this.toScore(integer, quantized);
    const raising = (found: SegmentTopDocs): SegmentTopDocs => {
      if (found.count === depth) threshold = Math.max(threshold, found.scores[depth - 1]!);
      return found;
    };
    return mergeTopDocs(query, depth, toScore, ({ segment }, i) => {
      const { lists, accepted } = plans[i]!;
      if (!accepted) return UNKNOWN;
      const { acceptBits } = accepted;
      if (acceptBits && scan !== 'exact') {
        const kept = this.filtered.topDocs(segment, acceptBits, { lists, k: depth, threshold, deadline });
        if (kept) return raising(kept);
      }
      if (prefersForwardIndex(segment, lists, acceptBits))
        return scoreAcceptedDocs(segment, quantized, acceptBits, depth, this.weights, deadline);
      const prunes = scan === 'pruned' || (scan === 'auto' && segment.numDocs >= PRUNED_FROM_DOCS);
      const found = searchSegment(segment, {
        lists,
        acceptBits,
        k: depth,
        threshold,
        alpha: prunes ? alpha : undefined,
        deadline,
        scores: this.scores,
      });
      return raising(found);
    });
  }

  /** The score that users see: the sum of query weight times document weight. */
  toScore(integer: number, query: QuantizedQuery): number {
    return (integer * this.impactScale) / query.scale;
  }

  /** Score of one document, live or not. */
  integerScore(view: SegmentView, docId: number, query: QuantizedQuery): number {
    query.termIds.forEach((termId, i) => {
      this.weights[termId] = query.weights[i]!;
    });
    const score = forwardScore(view.segment, docId, this.weights);
    for (const termId of query.termIds) this.weights[termId] = 0;
    return score;
  }

  /**
   * Counts the documents that rank before (score, id), without ordering them.
   *
   * @param passes decides about a document that scores better and that the filter accepts
   */
  countBefore(
    { generation, quantized, filter, deadline }: RetrievalQuery,
    score: number,
    id: string,
    passes: (view: SegmentView, docId: number) => boolean,
  ): number {
    let count = 0;
    for (const view of generation.segments) {
      const { segment } = view;
      const lists = queryLists(segment, quantized);
      const acceptBits = filter(view)?.acceptBits;
      forEachScore(segment.impacts, lists, acceptBits, this.scores, deadline, (other, docId) => {
        const before = other > score || (other === score && segment.id(docId) < id);
        if (before && passes(view, docId)) count++;
        return score;
      });
    }
    return count;
  }
}
