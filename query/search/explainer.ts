import { WinnowError } from '../../errors.ts';
import { displayId, type PassageRef, storedId } from '../../indexer/format/stored-id.ts';
import type { IndexStore } from '../../indexer/index-store.ts';
import type { SegmentView } from '../../indexer/store/index-view.ts';
import type { StoredRecord } from '../../indexer/store/records.ts';
import { Deadline } from '../deadline.ts';
import type { Hydrator } from '../hydrate/hydrator.ts';
import { MAX_TEXTS_READ } from '../limits.ts';
import type { ExplainOptions } from '../request.ts';
import type { Explanation } from '../response.ts';
import { bm25Query, explainBm25, type WordContribution } from '../retrieve/bm25.ts';
import type { SparseRetriever } from '../retrieve/sparse-retriever.ts';
import { analyze } from '../text/english-analyzer.ts';
import type { KnownScripts } from '../text/known-scripts.ts';
import type { CandidateFinder } from './candidates.ts';
import { explanationOf, USUAL_HITS } from './explanation.ts';
import { NO_TERMS, type PreparedSearch, type SearchPreparer } from './prepared-search.ts';

/** A document with what decides whether it is a hit. */
interface Candidate {
  readonly record: StoredRecord;
  readonly view: SegmentView;
  readonly docId: number;
  /** By condition of the query: whether it holds. */
  readonly verdicts: readonly boolean[];
  /** Integer score of learned weights, or the BM25 score in mode `bm25`. */
  readonly score: number;
  /** The score by word, in mode `bm25`. */
  readonly words: readonly WordContribution[] | undefined;
}

/** Explains the score of one document for a query. */
export class Explainer {
  private readonly store: IndexStore;
  private readonly preparer: SearchPreparer;
  private readonly candidates: CandidateFinder;
  private readonly sparse: SparseRetriever;
  private readonly hydrator: Hydrator;
  private readonly scripts: KnownScripts;

  constructor(
    store: IndexStore,
    parts: {
      readonly preparer: SearchPreparer;
      readonly candidates: CandidateFinder;
      readonly sparse: SparseRetriever;
      readonly hydrator: Hydrator;
      readonly scripts: KnownScripts;
    },
  ) {
    this.store = store;
    this.preparer = parts.preparer;
    this.candidates = parts.candidates;
    this.sparse = parts.sparse;
    this.hydrator = parts.hydrator;
    this.scripts = parts.scripts;
  }

  /** @throws WinnowError WINNOW_NOT_FOUND when the document is not in the index, WINNOW_BAD_ARGUMENT */
  explain(query: string, document: PassageRef, options: ExplainOptions): Explanation {
    const search = this.preparer.prepare(this.store.view(), query, options, new Deadline(options.budgetMs));
    const { quantized, conditions } = search;
    const best = this.bestPassage(search, document);
    const { record, view, docId, verdicts, words } = best;
    const explained = this.hydrator.explain(
      { ...search, quantized: words ? NO_TERMS : quantized },
      view.segment,
      docId,
      record,
    );
    const rank = best.score > 0 && verdicts.every(Boolean) ? this.rank(search, best) : undefined;
    const tenth = this.candidates.find(search, { documents: USUAL_HITS, sources: 0 }).docs[USUAL_HITS - 1];
    return explanationOf(
      {
        record,
        score: words ? best.score : this.sparse.toScore(best.score, quantized),
        rank,
        tenthScore: tenth?.score,
        explained,
        words,
        conditions: conditions?.conditions ?? [],
        verdicts,
      },
      search.notices,
      this.scripts,
    );
  }

  /**
   * A document's BM25 score split by the words of the query.
   *
   * @param id stored id
   * @throws WinnowError WINNOW_NOT_FOUND when the id is not in the index
   */
  explainWords(query: string, id: string): WordContribution[] {
    const generation = this.store.view();
    const found = generation.locate(id);
    if (!found) throw notFound(id);
    return explainBm25(found.view, found.docId, bm25Query(generation, analyze(query)));
  }

  /** The passage that is a hit most easily: it meets the conditions, and has the best score of those. */
  private bestPassage(
    { generation, quantized, conditions, mode, text }: PreparedSearch,
    ref: PassageRef,
  ): Candidate {
    const bm25 = mode === 'bm25' ? bm25Query(generation, analyze(text)) : undefined;
    const passages = generation.documentsOf(ref).flatMap((record): Candidate[] => {
      const found = generation.locate(storedId(record.id, record.passage));
      if (!found) return [];
      const { view, docId } = found;
      const words = bm25 && explainBm25(view, docId, bm25);
      const score = words
        ? words.reduce((sum, { contribution }) => sum + contribution, 0)
        : this.sparse.integerScore(view, docId, quantized);
      return [{ record, view, docId, verdicts: conditions?.holds(record) ?? [], score, words }];
    });
    const [first, ...others] = passages;
    if (!first) throw notFound(displayId(ref));
    return others.reduce((best, one) => (isBetter(one, best) ? one : best), first);
  }

  /** Rank from 1; undefined when the time budget ends first, when reading too many texts would be necessary, or in mode `bm25` when it ranks below all that are. */
  private rank(search: PreparedSearch, { record, score, words }: Candidate): number | undefined {
    const id = storedId(record.id, record.passage);
    if (!words) return this.candidates.rankOf(search, this.sparse, score, id);
    const { docs, complete } = this.candidates.find(search, { documents: MAX_TEXTS_READ, sources: 0 });
    const index = docs.findIndex((doc) => doc.id === id);
    return index < 0 || !complete ? undefined : index + 1;
  }
}

function isBetter(a: Candidate, b: Candidate): boolean {
  const passes = ({ verdicts }: Candidate): boolean => verdicts.every(Boolean);
  return passes(a) === passes(b) ? a.score > b.score : passes(a);
}

function notFound(id: string): WinnowError {
  return new WinnowError('WINNOW_NOT_FOUND', `no document "${id}"`, { place: 'id' });
}
