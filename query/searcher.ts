import type { IdfQueryEncoder } from '../encoder/idf-query.ts';
import type { WordPieces } from '../encoder/wordpiece.ts';
import { WinnowError } from '../errors.ts';
import type { Generation, SegmentView } from '../indexer/generation.ts';
import type { IndexStore } from '../indexer/index-store.ts';
import type { StoredRecord } from '../indexer/records.ts';
import { type DocumentRef, displayId, parseStoredId, refOf, storedId } from '../indexer/stored-id.ts';
import { type Accept, intersect } from './accept.ts';
import { bm25Query, bm25Search, explainBm25, type WordContribution } from './bm25.ts';
import { analyze } from './english-analyzer.ts';
import { exactForward, forwardIsCheaper, forwardScore, WINDOW_DOCS } from './exact-scan.ts';
import { explainTokens, type TokenExplanation, wordsByToken } from './explain.ts';
import { countValues, declaredField, type FacetCount, type FieldSort, sortByField } from './fields.ts';
import { compileFilter, type Filter } from './filter.ts';
import { reciprocalRankFusion, weightedFusion } from './fusion.ts';
import { type ImpactQuery, impactQuery } from './impact-query.ts';
import { QUERY_IDF, type QueryIdf, queryWeights } from './query-weights.ts';
import { PRUNED_FROM_DOCS, queryLists, searchSegment, sureThreshold } from './segment-search.ts';
import { makeSnippet, type Snippet } from './snippet.ts';
import type { RankedDocs } from './top-k.ts';

/** `sparse`: learned weights; `bm25`: words only; `hybrid`: both, fused. */
export type SearchMode = 'sparse' | 'bm25' | 'hybrid';

/** How the postings of learned weights are gone through; results are the same unless `alpha` < 1 or a budget say less. */
export interface ScanOptions {
  /**
   * `exact`: every posting of the query's terms; `pruned`: only blocks of documents that can hold a hit, in segments that
   * keep block maxima; `auto` (the default): pruned in segments of at least {@link PRUNED_FROM_DOCS} documents.
   */
  readonly scan?: 'auto' | 'exact' | 'pruned';
  /**
   * 0 < alpha <= 1, default 1: pruned search passes over blocks whose score bound times alpha does not reach the hits. At 1
   * no hit is lost; below, a document that is missed scores at most 1 / alpha times the worst hit.
   */
  readonly alpha?: number;
  /** Milliseconds after which pruned search answers with the best it has; default: none. */
  readonly budgetMs?: number;
}

export interface SearchOptions extends ScanOptions {
  /** Number of hits, 1..1,000. Default 10. */
  readonly k?: number;
  /** Hits to pass over, 0..10,000. Default 0. */
  readonly offset?: number;
  readonly mode?: SearchMode;
  /** Only documents that match; fields must have been declared. */
  readonly filter?: Filter;
  /** Add the token-by-token account of each score. Default false. */
  readonly explain?: boolean;
  /** Keep only the best passage of each source document. Default false. */
  readonly groupByParent?: boolean;
  /** How `hybrid` joins the two rankings: by normalised scores (`weighted`, the default) or by ranks (`rrf`). */
  readonly fusion?: 'rrf' | 'weighted';
  /** Share of the learned weights in `hybrid`, 0..1, default .8; words have the rest. */
  readonly sparseWeight?: number;
  /** How query tokens are weighted. Default `blended`. */
  readonly idf?: QueryIdf;
  /** Order the best {@link among} hits by a declared field; scores stay those of the ranking. */
  readonly sort?: FieldSort;
  /** Declared fields whose values are counted over the best {@link among} hits. */
  readonly facets?: readonly string[];
  /**
   * How many of the best hits `sort` and `facets` look at, 1..10,000; default 1,000. Every document that shares a term
   * with the query is a hit, however poor, so that looking at all of them would tell little.
   */
  readonly among?: number;
}

export interface Hit {
  /** The id that the document, or the source of the passage, was added under. */
  readonly id: string;
  /** Ordinal of the passage, from 0; absent for a whole document. */
  readonly passage?: number;
  readonly score: number;
  readonly title: string;
  readonly snippet: Snippet;
  /** Words of the query that score although the document lacks them: the model added them. Strongest first. */
  readonly addedWords: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly explanation?: readonly TokenExplanation[];
}

export interface SearchResult {
  readonly hits: readonly Hit[];
  readonly mode: SearchMode;
  /** False when `budgetMs` ran out first: better documents may exist. */
  readonly complete: boolean;
  /** Counts of each field that `facets` asked for. */
  readonly facets?: Readonly<Record<string, readonly FacetCount[]>>;
  /** Time from text to hits, microseconds. */
  readonly tookUs: number;
}

export interface ExplainedHit {
  readonly id: string;
  /** Ordinal of the passage that is explained; absent for a whole document. */
  readonly passage?: number;
  readonly score: number;
  /** Rank among all documents, from 1; undefined when the score is 0. */
  readonly rank: number | undefined;
  /** Score that stands at rank 10, where the usual list of hits ends; undefined when there are fewer hits. */
  readonly tenthScore: number | undefined;
  readonly tokens: readonly TokenExplanation[];
}

/** A document found in a segment, before its fields are read. */
export interface Located {
  /** Its stored id (`parseStoredId`): what tells it from all others; of a whole document the user's id. */
  readonly id: string;
  readonly score: number;
  readonly view: SegmentView;
  readonly docId: number;
}

/** A document that may be explained, with its integer score. */
interface Candidate {
  readonly record: StoredRecord;
  readonly place: { readonly view: SegmentView; readonly docId: number };
  readonly score: number;
}

export const MAX_K = 1000;
export const MAX_OFFSET = 10_000;
const MAX_AMONG = 10_000;
/** Candidates that each system gives to a fusion or a grouping beyond the hits asked for. */
const CANDIDATES = 100;
/** Of the learned weights in a fusion; chosen on development sets (docs/training.md, "After training"). */
const SPARSE_WEIGHT = 0.8;
const FILTER_CACHE = 64;

/** Searches one index: integer-exact sparse scores, BM25 and their fusion, over the newest generation. */
export class Searcher {
  private readonly store: IndexStore;
  private readonly encoder: IdfQueryEncoder;
  private readonly scores = new Uint32Array(WINDOW_DOCS);
  // Scratch by termId, all zero between calls.
  private readonly weights: Uint16Array;
  private readonly documentWeights: Float32Array;
  private readonly queryWeights: Float32Array;
  private readonly filterCache = new Map<string, Uint8Array>();
  /** Filter bitmaps less the deleted documents of one generation's view. */
  private readonly accepted = new WeakMap<SegmentView, Map<string, Uint8Array>>();
  /** Whether the last search went through before its budget ran out. */
  private complete = true;

  constructor(store: IndexStore, encoder: IdfQueryEncoder) {
    this.store = store;
    this.encoder = encoder;
    const { vocabularySize } = encoder.tokenizer;
    this.weights = new Uint16Array(vocabularySize);
    this.documentWeights = new Float32Array(vocabularySize);
    this.queryWeights = new Float32Array(vocabularySize);
  }

  search(query: string, options: SearchOptions): SearchResult {
    const started = performance.now();
    const { mode = 'sparse', k = 10, offset = 0, groupByParent = false } = options;
    checkRange('k', k, 1, MAX_K);
    checkRange('offset', offset, 0, MAX_OFFSET);
    const { sort, facets = [], among = 1000 } = options;
    checkRange('among', among, 1, MAX_AMONG);
    const generation = this.store.generation();
    const { filterFields } = generation.manifest.settings;
    const sortField = sort && declaredField(filterFields, sort.field, 'sort.field');
    const counted = facets.map((name) => declaredField(filterFields, name, 'facets'));
    const wanted = (groupByParent ? CANDIDATES : 0) + offset + k;
    const depth = sort || facets.length > 0 ? Math.max(wanted, among) : wanted;
    const impact = this.impactQuery(generation, query, options.idf);
    const ranked = this.locate(generation, query, () => impact, mode, depth, options);
    const best = ranked.slice(0, among);
    const located = sortField === undefined ? ranked : sortByField(best, sortField, sort?.order ?? 'asc');
    const words = wordsByToken(query, this.encoder.tokenizer);
    const seenParents = new Set<string>();
    const hits: Hit[] = [];
    let passed = 0;
    for (const found of located) {
      const record = this.record(generation, found);
      if (groupByParent) {
        if (seenParents.has(record.id)) continue;
        seenParents.add(record.id);
      }
      if (passed++ < offset) continue;
      hits.push(this.hit(found, record, impact, words, options.explain ?? false));
      if (hits.length === k) break;
    }
    return {
      hits,
      mode,
      complete: this.complete,
      ...(counted.length > 0
        ? {
            facets: Object.fromEntries(
              counted.map((index) => [
                filterFields[index]!.name,
                countValues(best, filterFields[index]!, index),
              ]),
            ),
          }
        : {}),
      tookUs: (performance.now() - started) * 1000,
    };
  }

  /** Ranking without reading stored fields: the ids and scores of the k best, best first. */
  rank(query: string, mode: SearchMode, k: number, options: SearchOptions = {}): Located[] {
    const generation = this.store.generation();
    const impact = () => this.impactQuery(generation, query, options.idf);
    return this.locate(generation, query, impact, mode, k, options);
  }

  /** Top-k for a query given as integer weights. */
  rankVector(
    query: ImpactQuery,
    k: number,
    options: ScanOptions & { readonly filter?: Filter } = {},
  ): Located[] {
    const generation = this.store.generation();
    return this.sparse(generation, query, k, this.acceptors(generation, options.filter), options);
  }

  explain(query: string, document: DocumentRef, options: Pick<SearchOptions, 'idf'> = {}): ExplainedHit {
    const generation = this.store.generation();
    const impact = this.impactQuery(generation, query, options.idf);
    const ref = refOf(document);
    const best = generation
      .documentsOf(ref)
      .flatMap((record) => {
        const place = generation.locate(storedId(record.id, record.passage));
        return place ? [{ record, place, score: this.integerScore(place.view, place.docId, impact) }] : [];
      })
      .reduce<Candidate | undefined>(
        (best, one) => (best && best.score >= one.score ? best : one),
        undefined,
      );
    if (!best) throw notFound(displayId(ref));
    const { record, place, score } = best;
    const { id, passage } = record;
    const { tokenizer } = this.encoder;
    const words = wordsByToken(query, tokenizer);
    return {
      id,
      ...(passage === undefined ? {} : { passage }),
      score: this.toScore(score, impact),
      rank: score > 0 ? this.rankOf(generation, impact, score, storedId(id, passage)) : undefined,
      tenthScore: this.rankVector(impact, 10)[9]?.score,
      tokens: explainTokens(
        place.view.segment,
        place.docId,
        impact,
        this.store.settings.impactScale,
        tokenizer,
        words,
        this.textIds(record, tokenizer.words(record.text)),
      ),
    };
  }

  /**
   * A document's BM25 score split by the words of the query.
   *
   * @throws WinnowError WINNOW_NOT_FOUND when the id is not in the index
   */
  explainWords(query: string, id: string): WordContribution[] {
    const generation = this.store.generation();
    const place = generation.locate(id);
    if (!place) throw notFound(id);
    return explainBm25(place.view, place.docId, bm25Query(generation, analyze(query)));
  }

  private impactQuery(generation: Generation, query: string, idf: QueryIdf = 'blended'): ImpactQuery {
    if (!QUERY_IDF.includes(idf))
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `unknown idf "${String(idf)}"`, {
        place: 'idf',
        hint: `use ${QUERY_IDF.join(' or ')}`,
      });
    const { termIds, weights } = queryWeights(this.encoder, generation, query, idf);
    return impactQuery(termIds, weights);
  }

  /** @param impact makes the query's integer weights, which BM25 does without */
  private locate(
    generation: Generation,
    query: string,
    impact: () => ImpactQuery,
    mode: SearchMode,
    k: number,
    options: SearchOptions,
  ): Located[] {
    // Here and not in sparse(): a BM25 search must not tell of the sparse one before it.
    this.complete = true;
    const accept = this.acceptors(generation, options.filter);
    switch (mode) {
      case 'sparse':
        return this.sparse(generation, impact(), k, accept, options);
      case 'bm25':
        return this.bm25(generation, query, k, accept);
      case 'hybrid': {
        const depth = Math.max(k, CANDIDATES);
        const lists = [
          this.sparse(generation, impact(), depth, accept, options),
          this.bm25(generation, query, depth, accept),
        ];
        const byId = new Map(lists.flat().map((located) => [located.id, located]));
        const { fusion = 'weighted', sparseWeight = SPARSE_WEIGHT } = options;
        if (!(sparseWeight >= 0 && sparseWeight <= 1))
          throw new WinnowError(
            'WINNOW_BAD_ARGUMENT',
            `sparseWeight must be from 0 to 1, got ${sparseWeight}`,
            {
              place: 'sparseWeight',
            },
          );
        const fuse = fusion === 'rrf' ? reciprocalRankFusion : weightedFusion;
        return fuse(lists, [sparseWeight, 1 - sparseWeight])
          .slice(0, k)
          .map(({ id, score }) => ({ ...byId.get(id)!, score }));
      }
      default:
        throw new WinnowError('WINNOW_BAD_ARGUMENT', `unknown mode "${String(mode)}"`, {
          place: 'mode',
          hint: 'modes are sparse, bm25 and hybrid',
        });
    }
  }

  private sparse(
    generation: Generation,
    query: ImpactQuery,
    k: number,
    accept: (view: SegmentView) => Accept,
    options: ScanOptions,
  ): Located[] {
    const { scan = 'auto', alpha = 1, budgetMs } = options;
    checkScan(scan, alpha, budgetMs);
    const deadline = budgetMs === undefined ? undefined : performance.now() + budgetMs;
    const toScore = (integer: number) => this.toScore(integer, query);
    const plans = generation.segments.map((view) => ({
      lists: queryLists(view.segment, query),
      accepted: accept(view),
    }));
    // What k hits of one segment reach, no hit of another need fall below.
    let threshold = 0;
    plans.forEach(({ lists, accepted }, i) => {
      const { impacts } = generation.segments[i]!.segment;
      if (!accepted) threshold = Math.max(threshold, sureThreshold(impacts, lists, k));
    });
    return this.perSegment(generation, k, toScore, ({ segment }, i) => {
      const { lists, accepted } = plans[i]!;
      if (forwardIsCheaper(segment, lists, accepted))
        return exactForward(segment, query, accepted, k, this.weights);
      const pruned = scan === 'pruned' || (scan === 'auto' && segment.numDocs >= PRUNED_FROM_DOCS);
      // A budget that is used up still lets the kernel say that it is.
      const budgetUs = deadline === undefined ? 0 : Math.max(1, (deadline - performance.now()) * 1000);
      const found = searchSegment(
        segment,
        lists,
        accepted,
        k,
        threshold,
        pruned ? { alpha, budgetUs } : undefined,
        this.scores,
      );
      if (!found.complete) this.complete = false;
      if (found.count === k) threshold = Math.max(threshold, found.scores[k - 1]!);
      return found;
    });
  }

  private bm25(
    generation: Generation,
    query: string,
    k: number,
    accept: (view: SegmentView) => Accept,
  ): Located[] {
    const prepared = bm25Query(generation, analyze(query));
    let threshold = 0;
    return this.perSegment(
      generation,
      k,
      (score) => score,
      (view) => {
        const found = bm25Search(view, prepared, accept(view), k, threshold);
        if (found.count === k) threshold = Math.max(threshold, found.scores[k - 1]!);
        return found;
      },
    );
  }

  /**
   * Joins each segment's top-k: higher scores first, ties by smaller id.
   *
   * @param toScore turns a segment's score into the one that users see
   */
  private perSegment(
    generation: Generation,
    k: number,
    toScore: (score: number) => number,
    scan: (view: SegmentView, segment: number) => RankedDocs,
  ): Located[] {
    const found: Located[] = [];
    generation.segments.forEach((view, segment) => {
      const { count, docIds, scores } = scan(view, segment);
      const { ids } = view.segment;
      for (let i = 0; i < count; i++) {
        const docId = docIds[i]!;
        found.push({ id: ids.get(docId), score: toScore(scores[i]!), view, docId });
      }
    });
    if (generation.segments.length === 1) return found;
    found.sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
    return found.slice(0, k);
  }

  /** Which documents of each segment may be hits: alive, and matching the filter. */
  private acceptors(generation: Generation, filter: Filter | undefined): (view: SegmentView) => Accept {
    if (!filter) return (view) => view.live;
    const matches = compileFilter(filter, generation.manifest.settings.filterFields);
    const key = JSON.stringify(filter);
    return (view) => {
      let ofView = this.accepted.get(view);
      if (!ofView || ofView.size >= FILTER_CACHE) {
        ofView = new Map();
        this.accepted.set(view, ofView);
      }
      const known = ofView.get(key);
      if (known) return known;
      const cacheKey = `${view.segment.number} ${key}`;
      let bitmap = this.filterCache.get(cacheKey);
      if (!bitmap) {
        bitmap = matches(view.segment);
        if (this.filterCache.size >= FILTER_CACHE)
          this.filterCache.delete(this.filterCache.keys().next().value!);
        this.filterCache.set(cacheKey, bitmap);
      }
      const accepted = intersect(view.live, bitmap)!;
      ofView.set(key, accepted);
      return accepted;
    };
  }

  private toScore(integer: number, query: ImpactQuery): number {
    return (integer * this.store.settings.impactScale) / query.scale;
  }

  private integerScore(view: SegmentView, docId: number, query: ImpactQuery): number {
    query.termIds.forEach((termId, i) => {
      this.weights[termId] = query.weights[i]!;
    });
    const score = forwardScore(view.segment, docId, this.weights);
    for (const termId of query.termIds) this.weights[termId] = 0;
    return score;
  }

  /** 1 + the number of live documents that rank before (score, id). */
  private rankOf(generation: Generation, query: ImpactQuery, score: number, id: string): number {
    let rank = 1;
    for (const { segment, live } of generation.segments) {
      const lists = queryLists(segment, query);
      const { count, docIds, scores } = searchSegment(
        segment,
        lists,
        live,
        segment.numDocs,
        0,
        undefined,
        this.scores,
      );
      for (let i = 0; i < count; i++) {
        const other = scores[i]!;
        if (other > score || (other === score && segment.id(docIds[i]!) < id)) rank++;
      }
    }
    return rank;
  }

  private record(generation: Generation, { view, docId }: Located): StoredRecord {
    const record = generation.document(view.segment.docKeys[docId]!);
    if (record) return record;
    throw new WinnowError(
      'WINNOW_INDEX_CORRUPT',
      `document "${displayId(parseStoredId(view.segment.id(docId)))}" has postings but no stored fields`,
      {
        place: this.store.path,
        hint: `drop what is damaged with: winnow doctor --repair --index ${this.store.path}`,
      },
    );
  }

  /** Ids of the tokens that stand in a document's title or text. */
  private textIds(record: StoredRecord, words: readonly WordPieces[]): Set<number> {
    const ids = new Set(this.encoder.tokenizer.encode(record.title));
    for (const word of words) for (const id of word.ids) ids.add(id);
    return ids;
  }

  /** @param queryWords by query token */
  private hit(
    { view, docId, score }: Located,
    record: StoredRecord,
    query: ImpactQuery,
    queryWords: ReadonlyMap<number, string>,
    explain: boolean,
  ): Hit {
    const { impactScale } = this.store.settings;
    const { tokenizer } = this.encoder;
    const { documentWeights, queryWeights } = this;
    const { termIds, impacts } = view.segment.vector(docId);
    for (let i = 0; i < termIds.length; i++) documentWeights[termIds[i]!] = impacts[i]! * impactScale;
    query.termIds.forEach((termId, i) => {
      // A query word that the document has without weight is still worth marking.
      queryWeights[termId] = (query.weights[i]! / query.scale) * (documentWeights[termId]! || 0.1);
    });
    const words = tokenizer.words(record.text);
    const snippet = makeSnippet(record.text, words, queryWeights, documentWeights);
    // What is left after the words of the text have taken theirs was added by the model.
    const missing = new Set(query.termIds.filter((termId) => documentWeights[termId]! > 0));
    for (const { ids } of words) for (const termId of ids) missing.delete(termId);
    if (missing.size > 0) for (const termId of tokenizer.encode(record.title)) missing.delete(termId);
    const addedWords = [...missing]
      .sort((a, b) => queryWeights[b]! - queryWeights[a]!)
      .map((termId) => queryWords.get(termId) ?? tokenizer.tokens[termId]!);
    for (const termId of termIds) documentWeights[termId] = 0;
    for (const termId of query.termIds) queryWeights[termId] = 0;
    const explanation =
      explain &&
      explainTokens(
        view.segment,
        docId,
        query,
        impactScale,
        tokenizer,
        queryWords,
        this.textIds(record, words),
      );
    const { id, passage } = record;
    return {
      id,
      ...(passage === undefined ? {} : { passage }),
      score,
      title: record.title,
      snippet,
      addedWords: [...new Set(addedWords)],
      metadata: record.metadata,
      ...(explanation ? { explanation } : {}),
    };
  }
}

function checkScan(scan: string, alpha: number, budgetMs: number | undefined): void {
  const fail = (place: string, message: string): never => {
    throw new WinnowError('WINNOW_BAD_ARGUMENT', message, { place });
  };
  if (!['auto', 'exact', 'pruned'].includes(scan))
    fail('scan', `scan is auto, exact or pruned, not "${scan}"`);
  if (!(alpha > 0 && alpha <= 1)) fail('alpha', `alpha must be above 0 and at most 1, got ${alpha}`);
  if (budgetMs !== undefined && !(budgetMs > 0))
    fail('budgetMs', `the time budget must be above 0 ms, got ${budgetMs}`);
}

function notFound(id: string): WinnowError {
  return new WinnowError('WINNOW_NOT_FOUND', `no document "${id}"`, { place: 'id' });
}

function checkRange(name: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new WinnowError(
    'WINNOW_BAD_ARGUMENT',
    `${name} must be a whole number from ${low} to ${high}, got ${value}`,
    { place: name },
  );
}
