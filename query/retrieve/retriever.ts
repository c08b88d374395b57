import type { Segment } from '../../indexer/segment/segment.ts';
import type { IndexView, SegmentView } from '../../indexer/store/index-view.ts';
import type { Deadline } from '../deadline.ts';
import type { SearchOptions } from '../request.ts';
import type { QuantizedQuery } from '../weights/quantized-query.ts';
import type { AcceptBits } from './accept-bits.ts';
import type { SegmentTopDocs } from './top-k.ts';

/** What the steps after retrieval read of the segment, or of the answer of a remote engine, that holds a document. */
export interface FoundSegment extends Pick<Segment, 'docKeys' | 'vector' | 'id'> {
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

/** A document of a ranking before its id is decoded, which hybrid rankings need for few of the documents that they join. */
export type RankedDoc = Pick<ScoredDoc, 'score' | 'view' | 'docId'>;

/** As {@link TopDocs}, without ids. */
export interface Ranking {
  readonly docs: readonly RankedDoc[];
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

/** Decodes the ids of a ranking. */
export const withIds = ({ docs, complete }: Ranking): TopDocs => ({
  docs: docs.map((doc) => ({ id: idOf(doc), ...doc })),
  complete,
});

/** The stored id of a document. */
export const idOf = ({ view, docId }: Pick<ScoredDoc, 'view' | 'docId'>): string => view.segment.id(docId);

/**
 * Joins the best documents of each segment.
 *
 * @param toScore converts a segment's score to the one that users see
 * @param search the best `depth` documents of one segment
 */
export function mergeTopDocs(
  { generation }: RetrievalQuery,
  depth: number,
  toScore: (score: number) => number,
  search: (view: SegmentView, segment: number) => SegmentTopDocs,
): Ranking {
  const found: RankedDoc[] = [];
  let complete = true;
  generation.segments.forEach((view, segment) => {
    const { count, docIds, scores, complete: isWhole } = search(view, segment);
    complete &&= isWhole;
    for (let i = 0; i < count; i++) found.push({ score: toScore(scores[i]!), view, docId: docIds[i]! });
  });
  // Those of one segment are in order.
  if (generation.segments.length > 1) found.sort((a, b) => b.score - a.score || (idOf(a) < idOf(b) ? -1 : 1));
  return { docs: found.length > depth ? found.slice(0, depth) : found, complete };
}
