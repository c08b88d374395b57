import { SEARCH_OPTIONS } from '../request.ts';
import { FUSED_DEPTH, fuse } from './fusion.ts';
import type { Retriever } from './retriever.ts';

/** Joins the ranking by learned weights with the one by words. */
export function hybridRetriever(sparse: Retriever, bm25: Retriever): Retriever {
  return {
    retrieve(query, depth) {
      const listDepth = Math.max(depth, FUSED_DEPTH);
      const rankings = [sparse.retrieve(query, listDepth), bm25.retrieve(query, listDepth)];
      const { fusion = SEARCH_OPTIONS.fusion.default, sparseWeight = SEARCH_OPTIONS.sparseWeight.default } =
        query.options;
      const fused = fuse(
        rankings.map(({ docs }) => docs),
        [sparseWeight, 1 - sparseWeight],
        fusion,
      );
      return { docs: fused.slice(0, depth), complete: rankings.every(({ complete }) => complete) };
    },
  };
}
