import { bitmapFor, setBit } from '../../indexer/format/bitmap.ts';
import { forEachInList, type PostingLists } from '../../indexer/postings/posting-list-reader.ts';
import type { SearchMode } from '../request.ts';
import { analyze } from '../text/english-analyzer.ts';
import { countAccepted, intersect } from './accept-bits.ts';
import { bm25Query } from './bm25.ts';
import type { RetrievalQuery } from './retriever.ts';
import { queryLists } from './segment-search.ts';

/**
 * Number of live documents that a ranking of any depth would hold: those that the filter accepts and that share a token (`sparse`), a
 * word (`bm25`) or either (`hybrid`) with the query. Rankings are pruned and cut, so it is counted apart, from the posting lists of the
 * query: some 3 ns per posting.
 *
 * @returns undefined when the time budget ends first
 */
export function countMatches(query: RetrievalQuery, mode: SearchMode): number | undefined {
  const { generation, quantized, filter, deadline } = query;
  const words = mode === 'sparse' ? [] : bm25Query(generation, analyze(query.text)).terms;
  let count = 0;
  for (const view of generation.segments) {
    const accepted = filter(view);
    if (!accepted) return undefined;
    const { segment } = view;
    const lists: [PostingLists, number][] = [];
    if (mode !== 'bm25')
      for (const { list } of queryLists(segment, quantized)) lists.push([segment.impacts, list]);
    for (const word of words) {
      const list = word.lists.get(segment);
      if (list !== undefined) lists.push([segment.wordPostings, list]);
    }
    const matches = bitmapFor(segment.numDocs);
    for (const [postings, list] of lists) {
      if (deadline.isPast) return undefined;
      forEachInList(postings, list, (docId) => setBit(matches, docId));
    }
    count += countAccepted(intersect(matches, accepted.acceptBits)!);
  }
  return count;
}
