import { SEARCH_OPTIONS } from '../request.ts';
import { analyze } from '../text/english-analyzer.ts';
import { type AcceptBits, countAccepted } from './accept-bits.ts';
import { bm25Query, bm25Search, segmentNorms, wordLists } from './bm25.ts';
import { KeptWords } from './kept-lists.ts';
import { KEPT_BYTES_OF_FILTER, KnownFilters } from './known-filters.ts';
import { mergeTopDocs, type Ranking, type RetrievalQuery, type Retriever } from './retriever.ts';
import { NO_DOCS, UNKNOWN } from './top-k.ts';

/** Filters that keep at most this share of the documents have lists of their own. */
const LISTS_SHARE = 5 / 8;
/** What such lists take, about: bytes a document and a posting, and the share of the postings whose words queries have. */
const BYTES_PER_DOC = 20;
const BYTES_PER_POSTING = 3;
const WANTED_POSTINGS = 1 / 2;

/** Ranks by the words of the text. Not reentrant. */
export class Bm25Retriever implements Retriever {
  private readonly filters = new KnownFilters(KeptWords);

  retrieve(query: RetrievalQuery, depth: number): Ranking {
    const { generation, deadline, options } = query;
    const { scan = SEARCH_OPTIONS.scan.default } = options;
    const words = bm25Query(generation, analyze(query.text));
    const accepted = generation.segments.map((view) => query.filter(view));
    const haveLists = scan !== 'exact' && haveOwnLists(query, accepted);
    let threshold = 0;
    const toScore = (score: number) => score;
    return mergeTopDocs(query, depth, toScore, (view, i) => {
      if (!accepted[i]) return UNKNOWN;
      const { acceptBits } = accepted[i];
      const { segment } = view;
      const { wordPostings: postings } = segment;
      const lists = wordLists(segment, words);
      if (lists.length === 0) return NO_DOCS;
      const norms = segmentNorms(view, words);
      if (acceptBits) this.filters.begin(acceptBits);
      const kept =
        acceptBits && haveLists
          ? this.filters.search(segment, acceptBits, { postings, lists, deadline }, (own) =>
              own.topDocs(postings, lists, norms, depth, threshold),
            )
          : undefined;
      const found = kept ?? bm25Search(segment, { lists, norms, acceptBits, k: depth, threshold, deadline });
      if (found.count === depth) threshold = Math.max(threshold, found.scores[depth - 1]!);
      return found;
    });
  }
}

/**
 * Whether a filter's lists are worth having. Unlike sparse search, BM25 has no block maxima to skip by, so that leaving out half of the
 * documents already halves its time. The lists of all segments must fit the memory of one filter, or they would drive each other out.
 */
function haveOwnLists(
  { generation }: RetrievalQuery,
  accepted: readonly ({ readonly acceptBits: AcceptBits } | undefined)[],
): boolean {
  let numDocs = 0;
  let kept = 0;
  let bytes = 0;
  generation.segments.forEach(({ segment }, i) => {
    const acceptBits = accepted[i]?.acceptBits;
    const count = acceptBits ? countAccepted(acceptBits) : segment.numDocs;
    const postings = (segment.wordPostings.numPostings / segment.numDocs) * WANTED_POSTINGS;
    numDocs += segment.numDocs;
    kept += count;
    bytes += count * (BYTES_PER_DOC + BYTES_PER_POSTING * postings);
  });
  return kept <= numDocs * LISTS_SHARE && bytes <= KEPT_BYTES_OF_FILTER;
}
