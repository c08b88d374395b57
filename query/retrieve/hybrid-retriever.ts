import { SEARCH_OPTIONS } from '../request.ts';
import { FUSED_DEPTH, fuse } from './fusion.ts';
import { idOf, type RankedDoc, type Retriever } from './retriever.ts';

/** Joins the ranking by learned weights with the one by words. */
export function hybridRetriever(sparse: Retriever, bm25: Retriever): Retriever {
  return {
    retrieve(query, depth) {
      const listDepth = Math.max(depth, FUSED_DEPTH);
      const rankings = [sparse.retrieve(query, listDepth), bm25.retrieve(query, listDepth)];
      const { fusion = SEARCH_OPTIONS.fusion.default, sparseWeight = SEARCH_OPTIONS.sparseWeight.default } =
        query.options;
      const docs = fuse<RankedDoc>(
        rankings.map((ranking) => ranking.docs),
        [sparseWeight, 1 - sparseWeight],
        fusion,
        { depth, keyOf, idOf },
      );
      return { docs, complete: rankings.every(({ complete }) => complete) };
    },
  };
}

/** A number that no other document of the index has. */
const keyOf = ({ view, docId }: RankedDoc): number => view.segment.docKeys[docId]!;
