import { analyze } from '../text/english-analyzer.ts';
import { bm25Query, bm25Search } from './bm25.ts';
import { mergeTopDocs, type Retriever } from './retriever.ts';
import { UNKNOWN } from './top-k.ts';

/** Ranks by the words of the text. */
export const bm25Retriever: Retriever = {
  retrieve(query, depth) {
    const words = bm25Query(query.generation, analyze(query.text));
    let threshold = 0;
    const toScore = (score: number) => score;
    return mergeTopDocs(query, depth, toScore, (view) => {
      const accepted = query.filter(view);
      if (!accepted) return UNKNOWN;
      const found = bm25Search(view, words, accepted.acceptBits, depth, threshold, query.deadline);
      if (found.count === depth) threshold = Math.max(threshold, found.scores[depth - 1]!);
      return found;
    });
  },
};
