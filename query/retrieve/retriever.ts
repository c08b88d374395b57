import type { Segment } from '../../indexer/segment/segment.ts';
import type { IndexView, SegmentView } from '../../indexer/store/index-view.ts';
import type { Deadline } from '../deadline.ts';
import type { SearchOptions } from '../request.ts';
import type { QuantizedQuery } from '../weights/quantized-query.ts';
import type { AcceptBits } from './accept-bits.ts';
import type { SegmentTopDocs } from './top-k.ts';

/** What the steps after retrieval read of the segment, or of the answer of a remote engine, that holds a document. */
export interface FoundSegment
  extends Pick<Segment, 'docKeys' | 'vector' | 'id'>,
    Partial<Pick<Segment, 'isInText'>> {
  readonly denseVectors?: Pick<NonNullable<Segment['denseVectors']>, 'vector'> | undefined;
}

/** A document of a ranking, before its stored fields are read. */
export interface FoundDoc {
  /** Its stored id (`parseStoredId`), unique in the index; for a whole document, the id that it was added under. */
  readonly id: string;
  readonly score: number;
  readonly view: { readonly segment: FoundSegment };
  readonly docId: number;
  /** Set by a reranker: how well the document answers, 0..1. */
  readonly relevance?: number;
  /** Set by a reranker: the score of each stage. */
  readonly stages?: StageScores;
}

/** A document of a ranking of an index in this process. */
export interface ScoredDoc extends FoundDoc {
  readonly view: SegmentView;
}

/** The scores that a reranked document got on its way. */
export interface StageScores {
  /** Of the first ranking. */
  readonly retrieval: number;
  /** Cosine of the vectors of query and document. */
  readonly vector?: number;
  /** Logit of the cross-encoder. */
  readonly cross?: number;
  /** In its place, for a document that left the cross-encoder early: the estimate of its first layers. */
  readonly early?: number;
}

/**
 * A ranking in columns, best first: descending scores, equal scores by ascending stored id. Ids are decoded for the few documents
 * that need them, and hybrid rankings join hundreds.
 */
export interface Ranking {
  /** Position of each document's segment in the view. */
  readonly segments: Uint32Array;
  readonly docIds: Uint32Array;
  readonly scores: Float64Array;
  readonly complete: boolean;
}

/** The first documents of a ranking, best first: descending scores, equal scores by ascending stored id. */
export interface TopDocs {
  readonly docs: readonly ScoredDoc[];
  /** False when the time budget ended the search early: better documents may exist. */
  readonly complete: boolean;
}

/** The documents of a segment that may be hits; undefined when the time budget ended before that was known. */
export type DocumentFilter = (view: SegmentView) => { readonly acceptBits: AcceptBits } | undefined;

/** What the steps after retrieval read of a query. */
export interface FoundQuery {
  /** Stored fields by key. */
  readonly generation: Pick<IndexView, 'document'>;
  /** What words are taken from. */
  readonly text: string;
  /** What learned weights are multiplied with. */
  readonly quantized: QuantizedQuery;
}

/** A query over one view of the index, ready for rankings of any depth. */
export interface RetrievalQuery extends FoundQuery {
  readonly generation: IndexView;
  readonly filter: DocumentFilter;
  readonly deadline: Deadline;
  readonly options: Pick<SearchOptions, 'scan' | 'alpha' | 'fusion' | 'sparseWeight'>;
}

/** One way to find documents. A query has one ranking; `depth` only says where it is cut. */
export interface Retriever {
  retrieve(query: RetrievalQuery, depth: number): Ranking;
}

/** The documents of a ranking, with their ids. */
export function topDocs(query: RetrievalQuery, ranking: Ranking): TopDocs {
  const { segments, docIds, scores, complete } = ranking;
  const docs = Array.from(docIds, (docId, i) => ({
    id: idAt(query, ranking, i),
    score: scores[i]!,
    view: query.generation.segments[segments[i]!]!,
    docId,
  }));
  return { docs, complete };
}

/** The stored id of one document of a ranking. */
export const idAt = (
  { generation }: RetrievalQuery,
  { segments, docIds }: Pick<Ranking, 'segments' | 'docIds'>,
  at: number,
): string => generation.segments[segments[at]!]!.segment.id(docIds[at]!);

/**
 * Joins the best documents of each segment.
 *
 * @param toScore converts a segment's score to the one that users see, in the same order
 * @param search the best `depth` documents of one segment
 */
export function mergeTopDocs(
  query: RetrievalQuery,
  depth: number,
  toScore: (score: number) => number,
  search: (view: SegmentView, segment: number) => SegmentTopDocs,
): Ranking {
  const views = query.generation.segments;
  // A search of the next segment overwrites what the last one found.
  const found = views.map((view, segment) => {
    const { count, docIds, scores, complete } = search(view, segment);
    const copy = { docIds: new Uint32Array(docIds), scores: new Float64Array(scores), complete };
    for (let i = 0; i < count; i++) copy.scores[i] = toScore(copy.scores[i]!);
    return copy;
  });
  const complete = found.every((one) => one.complete);
  if (found.length === 1) {
    const { docIds, scores } = found[0]!;
    return { segments: new Uint32Array(docIds.length), docIds, scores, complete };
  }
  return { ...mergeSorted(query, found, depth), complete };
}

/** The first `depth` documents of rankings of one segment each. */
function mergeSorted(
  query: RetrievalQuery,
  found: readonly Pick<Ranking, 'docIds' | 'scores'>[],
  depth: number,
): Omit<Ranking, 'complete'> {
  const total = found.reduce((sum, { docIds }) => sum + docIds.length, 0);
  const length = Math.min(depth, total);
  const merged = {
    segments: new Uint32Array(length),
    docIds: new Uint32Array(length),
    scores: new Float64Array(length),
  };
  /** Next document of each segment. */
  const heads = new Uint32Array(found.length);
  const idOf = (segment: number) =>
    query.generation.segments[segment]!.segment.id(found[segment]!.docIds[heads[segment]!]!);
  for (let i = 0; i < length; i++) {
    let best = -1;
    let bestScore = Number.NEGATIVE_INFINITY;
    for (let segment = 0; segment < found.length; segment++) {
      const { scores } = found[segment]!;
      if (heads[segment] === scores.length) continue;
      const score = scores[heads[segment]!]!;
      if (score < bestScore || (score === bestScore && idOf(segment) > idOf(best))) continue;
      best = segment;
      bestScore = score;
    }
    merged.segments[i] = best;
    merged.docIds[i] = found[best]!.docIds[heads[best]!]!;
    merged.scores[i] = bestScore;
    heads[best]!++;
  }
  return merged;
}
