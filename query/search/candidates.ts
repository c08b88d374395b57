import { parseStoredId } from '../../indexer/format/stored-id.ts';
import type { SearchMode } from '../request.ts';
import type { Notice } from '../response.ts';
import { Bm25Retriever } from '../retrieve/bm25-retriever.ts';
import { hybridRetriever } from '../retrieve/hybrid-retriever.ts';
import { type Retriever, type ScoredDoc, type TopDocs, topDocs } from '../retrieve/retriever.ts';
import type { SparseRetriever } from '../retrieve/sparse-retriever.ts';
import { TextReader } from '../text/text-conditions.ts';
import { TEXTS_READ } from './notices.ts';
import type { PreparedSearch } from './prepared-search.ts';

/** Documents ranked per document that passes, where texts decide or passages of one source are joined. */
const SPARE_DEPTH = 4;

/** How many documents of a ranking are wanted. */
export interface Wanted {
  readonly documents: number;
  /** Different sources among them. */
  readonly sources: number;
}

export interface Candidates extends TopDocs {
  readonly notices: readonly Notice[];
}

/** Finds the first documents of rankings that also meet the conditions of the query. Not reentrant. */
export class CandidateFinder {
  private readonly retrievers: Readonly<Record<SearchMode, Retriever>>;
  private readonly texts = new TextReader();

  constructor(sparse: SparseRetriever) {
    const bm25 = new Bm25Retriever();
    this.retrievers = { sparse, bm25, hybrid: hybridRetriever(sparse, bm25) };
  }

  /** The ranking without the conditions that only stored texts decide. */
  retrieve(search: PreparedSearch, depth: number): TopDocs {
    return topDocs(search, this.retrievers[search.mode].retrieve(search, depth));
  }

  /** The first documents that meet the conditions. Ranks deeper until there are as many as wanted. */
  find(search: PreparedSearch, wanted: Wanted): Candidates {
    const { generation, conditions, deadline } = search;
    const { numLive } = generation;
    const exact = wanted.sources === 0 && !conditions?.needText;
    let depth = (exact ? 1 : SPARE_DEPTH) * Math.max(wanted.documents, wanted.sources);
    this.texts.start(deadline);
    for (;;) {
      depth = Math.max(1, Math.min(depth, numLive));
      const ranking = this.retrieve(search, depth);
      const { docs, complete, enough } = this.passing(search, ranking, wanted);
      if (enough || !complete || depth >= numLive || ranking.docs.length < depth)
        return { docs, complete, notices: !complete && this.texts.isSpent ? [TEXTS_READ] : [] };
      depth *= SPARE_DEPTH;
    }
  }

  /**
   * 1 + the number of documents that rank before (score, id) and meet the conditions; undefined when too many texts decide about it or the time budget ends.
   *
   * @param score integer score, in mode `sparse`
   */
  rankOf(search: PreparedSearch, sparse: SparseRetriever, score: number, id: string): number | undefined {
    const { conditions, deadline } = search;
    let known = true;
    this.texts.start(deadline);
    const before = sparse.countBefore(search, score, id, (view, docId) => {
      const passes = conditions ? this.texts.passes(conditions, view, docId) : true;
      if (passes === undefined) known = false;
      return passes === true;
    });
    return known && !deadline.isPast ? before + 1 : undefined;
  }

  private passing(
    { conditions }: PreparedSearch,
    ranking: TopDocs,
    wanted: Wanted,
  ): TopDocs & { readonly enough: boolean } {
    const docs: ScoredDoc[] = [];
    const sources = new Set<string>();
    let { complete } = ranking;
    const enough = () => docs.length >= wanted.documents && sources.size >= wanted.sources;
    for (const doc of ranking.docs) {
      if (enough()) break;
      const passes = conditions ? this.texts.passes(conditions, doc.view, doc.docId) : true;
      if (passes === undefined) {
        complete = false;
        break;
      }
      if (!passes) continue;
      docs.push(doc);
      if (wanted.sources > 0) sources.add(parseStoredId(doc.id).id);
    }
    return { docs, complete, enough: enough() };
  }
}
