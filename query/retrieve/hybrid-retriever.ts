import { SEARCH_OPTIONS } from '../request.ts';
import { FUSED_DEPTH, type FusedDoc, fuse } from './fusion.ts';
import { idAt, type Ranking, type RetrievalQuery, type Retriever } from './retriever.ts';

/** Joins the ranking by learned weights with the one by words. */
export function hybridRetriever(sparse: Retriever, bm25: Retriever): Retriever {
  return {
    retrieve(query, depth) {
      const listDepth = Math.max(depth, FUSED_DEPTH);
      const rankings = [sparse.retrieve(query, listDepth), bm25.retrieve(query, listDepth)];
      const { fusion = SEARCH_OPTIONS.fusion.default, sparseWeight = SEARCH_OPTIONS.sparseWeight.default } =
        query.options;
      const lists = rankings.map((ranking) => ({ keys: keysOf(query, ranking), scores: ranking.scores }));
      const idOf = ({ list, rank }: FusedDoc) => idAt(query, rankings[list]!, rank);
      const fused = fuse(lists, [sparseWeight, 1 - sparseWeight], fusion, depth, (a, b) => idOf(a) < idOf(b));
      const complete = rankings.every((ranking) => ranking.complete);
      return { ...placesOf(fused, rankings), complete };
    },
  };
}

/** Numbers that no other documents of the index have. */
function keysOf({ generation }: RetrievalQuery, { segments, docIds }: Ranking): Uint32Array {
  const docKeys = generation.segments.map(({ segment }) => segment.docKeys);
  const keys = new Uint32Array(docIds.length);
  for (let i = 0; i < keys.length; i++) keys[i] = docKeys[segments[i]!]![docIds[i]!]!;
  return keys;
}

function placesOf(fused: readonly FusedDoc[], rankings: readonly Ranking[]): Omit<Ranking, 'complete'> {
  const segments = new Uint32Array(fused.length);
  const docIds = new Uint32Array(fused.length);
  const scores = new Float64Array(fused.length);
  for (let i = 0; i < fused.length; i++) {
    const { list, rank, score } = fused[i]!;
    segments[i] = rankings[list]!.segments[rank]!;
    docIds[i] = rankings[list]!.docIds[rank]!;
    scores[i] = score;
  }
  return { segments, docIds, scores };
}
