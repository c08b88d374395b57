import type { IdfQueryEncoder } from '../encoder/idf-query.ts';
import { WinnowError } from '../errors.ts';
import type { Generation, SegmentView } from '../indexer/generation.ts';
import type { IndexStore } from '../indexer/index-store.ts';
import type { StoredRecord } from '../indexer/records.ts';
import { type DocumentRef, displayId, parseStoredId, refOf, storedId } from '../indexer/stored-id.ts';
import { bm25Query, explainBm25, type WordContribution } from './bm25.ts';
import { Deadline, NO_DEADLINE } from './deadline.ts';
import { analyze } from './english-analyzer.ts';
import { TokenExplainer, wordsByToken } from './explain.ts';
import { countValues, declaredField, sortByField } from './fields.ts';
import type { Filter } from './filter.ts';
import { HitMaker } from './hit-maker.ts';
import { type ImpactQuery, impactQuery } from './impact-query.ts';
import { KnownScripts } from './known-scripts.ts';
import { parseQuery } from './operators.ts';
import { type PreparedQuery, Ranker, type Ranking, type RankingOptions } from './ranker.ts';
import { MAX_TEXT_CONDITIONS, MAX_TEXTS_READ, SEARCH_OPTIONS } from './request.ts';
import type {
  ExplainedHit,
  Hit,
  Located,
  Notice,
  ScanOptions,
  SearchMode,
  SearchOptions,
  SearchResult,
} from './search-types.ts';
import { TextConditions, TextReader } from './text-conditions.ts';

/** Of a time budget, for the ranking; what is left is for the hits' snippets. */
const RANKING_SHARE = 0.8;
/** Documents ranked for one that passes, where texts decide or passages of one source are joined. */
const SPARE_DEPTH = 4;

const NO_TERMS: ImpactQuery = impactQuery([], []);

/** A query as it is searched. */
interface Question extends PreparedQuery {
  readonly conditions: TextConditions | undefined;
  readonly notices: readonly Notice[];
}

/** How many documents of a ranking are wanted. */
interface Wanted {
  readonly documents: number;
  /** Different sources among them. */
  readonly sources: number;
}

/** Searches one index: integer-exact sparse scores, BM25 and their fusion, over the newest generation. */
export class Searcher {
  private readonly store: IndexStore;
  private readonly encoder: IdfQueryEncoder;
  private readonly ranker: Ranker;
  private readonly hits: HitMaker;
  private readonly scripts: KnownScripts;
  private readonly texts = new TextReader();

  /** Options are those of `request.ts`, which the engine has checked. */
  constructor(store: IndexStore, encoder: IdfQueryEncoder) {
    this.store = store;
    this.encoder = encoder;
    this.ranker = new Ranker(store, encoder);
    this.hits = new HitMaker(encoder.tokenizer, store.settings.impactScale);
    this.scripts = new KnownScripts(encoder.tokenizer);
  }

  search(query: string, options: SearchOptions): SearchResult {
    const started = performance.now();
    const { budgetMs, sort, facets = [], groupByParent = SEARCH_OPTIONS.groupByParent.default } = options;
    const {
      k = SEARCH_OPTIONS.k.default,
      offset = SEARCH_OPTIONS.offset.default,
      among = SEARCH_OPTIONS.among.default,
    } = options;
    const deadline = new Deadline(budgetMs);
    const generation = this.store.generation();
    const { filterFields } = generation.manifest.settings;
    const sortField = sort && declaredField(filterFields, sort.field, 'sort.field');
    const counted = facets.map((name) => declaredField(filterFields, name, 'facets'));
    const question = this.question(
      generation,
      query,
      options,
      new Deadline(budgetMs && budgetMs * RANKING_SHARE),
    );
    // Sorting and counting look at the same documents whichever page is asked for.
    const atLeast = sort || counted.length > 0 ? among : 0;
    const page = sort ? 0 : offset + k;
    const ranking = this.first(question, {
      documents: Math.max(atLeast, page),
      sources: groupByParent ? page : 0,
    });
    const best = ranking.located.slice(0, among);
    const ordered =
      sortField === undefined
        ? ranking.located
        : sortByField(best, sortField, sort?.order ?? SEARCH_OPTIONS.sort.properties.order.default);
    const wanted = (groupByParent ? firstOfEachSource(ordered) : ordered).slice(offset, offset + k);
    const make = this.hits.forQuery(question.text, question.impact, options.explain ?? false, deadline);
    let { complete } = ranking;
    const hits = wanted.map((found): Hit => {
      const made = make(found, this.record(generation, found));
      complete &&= made.complete;
      return made.hit;
    });
    const notices = [...question.notices, ...ranking.notices];
    return {
      hits,
      mode: question.mode,
      complete,
      ...(notices.length > 0 ? { notices } : {}),
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

  /**
   * Ranking without reading stored fields: the ids and scores of the k best, best first. The query is plain text in the given
   * mode, as test collections mean it: no operators, no fallback.
   */
  rank(query: string, mode: SearchMode, k: number, options: SearchOptions = {}): readonly Located[] {
    const generation = this.store.generation();
    const impact = mode === 'bm25' ? NO_TERMS : this.ranker.impactQuery(generation, query, options.idf);
    return this.ranker.rank(this.prepared(generation, query, impact, mode, options), k).located;
  }

  /** Top-k for a query given as integer weights. */
  rankVector(
    query: ImpactQuery,
    k: number,
    options: ScanOptions & { readonly filter?: Filter } = {},
  ): readonly Located[] {
    const prepared = this.prepared(this.store.generation(), '', query, 'sparse', options);
    return this.ranker.rank(prepared, k).located;
  }

  private prepared(
    generation: Generation,
    text: string,
    impact: ImpactQuery,
    mode: SearchMode,
    options: RankingOptions & Pick<SearchOptions, 'filter'>,
  ): PreparedQuery {
    const deadline = new Deadline(options.budgetMs);
    const accept = this.ranker.acceptor(generation, options.filter, undefined, deadline);
    return { generation, text, impact, mode, accept, deadline, options };
  }

  /** Reads a query as people type it. */
  private question(
    generation: Generation,
    query: string,
    options: SearchOptions,
    deadline: Deadline,
  ): Question {
    const { text, conditions } = parseQuery(query, options.syntax ?? SEARCH_OPTIONS.syntax.default);
    if (conditions.length > MAX_TEXT_CONDITIONS)
      throw new WinnowError(
        'WINNOW_BAD_ARGUMENT',
        `the query has ${conditions.length} phrases and exclusions, at most ${MAX_TEXT_CONDITIONS} are allowed`,
        { place: 'query', hint: 'search for it as plain text: syntax "plain", --plain' },
      );
    const demands = conditions.length > 0 ? new TextConditions(conditions, generation) : undefined;
    const impact = this.ranker.impactQuery(generation, text, options.idf);
    const { mode, notices } = this.readableMode(text, impact, options.mode ?? SEARCH_OPTIONS.mode.default);
    const accept = this.ranker.acceptor(generation, options.filter, demands, deadline);
    const isEmpty = demands && text === '';
    return {
      generation,
      text,
      impact,
      mode,
      accept,
      deadline,
      options,
      conditions: demands,
      notices: isEmpty ? [ONLY_EXCLUSIONS] : notices,
    };
  }

  /** The mode that can search for a query's words, and what to say about it. */
  private readableMode(
    text: string,
    impact: ImpactQuery,
    mode: SearchMode,
  ): { readonly mode: SearchMode; readonly notices: readonly Notice[] } {
    const { unknown, known } = this.scripts.read(text);
    if (mode !== 'bm25' && unknown.length > 0 && known === 0)
      return { mode: 'bm25', notices: [unknownScript(mode)] };
    if (mode === 'sparse' && unknown.length > 0) return { mode, notices: [unknownWords(unknown)] };
    const hasTerms =
      (mode !== 'bm25' && impact.termIds.length > 0) || (mode !== 'sparse' && analyze(text).length > 0);
    return { mode, notices: hasTerms ? [] : [noTerms(mode)] };
  }

  /** The first documents of a query's ranking that pass its conditions, ranking deeper until there are as many as wanted. */
  private first(question: Question, wanted: Wanted): Ranking & { readonly notices: readonly Notice[] } {
    const { generation, conditions, deadline } = question;
    const { numLive } = generation;
    const exact = wanted.sources === 0 && !conditions?.needText;
    let depth = (exact ? 1 : SPARE_DEPTH) * Math.max(wanted.documents, wanted.sources);
    this.texts.start(deadline);
    for (;;) {
      depth = Math.max(1, Math.min(depth, numLive));
      const ranking = this.ranker.rank(question, depth);
      const located: Located[] = [];
      const sources = new Set<string>();
      let { complete } = ranking;
      for (const found of ranking.located) {
        if (located.length >= wanted.documents && sources.size >= wanted.sources) break;
        const passes = conditions ? this.texts.passes(conditions, found.view, found.docId) : true;
        if (passes === undefined) {
          complete = false;
          break;
        }
        if (!passes) continue;
        located.push(found);
        if (wanted.sources > 0) sources.add(parseStoredId(found.id).id);
      }
      const enough = located.length >= wanted.documents && sources.size >= wanted.sources;
      if (enough || !complete || depth >= numLive || ranking.located.length < depth)
        return { located, complete, notices: !complete && this.texts.isSpent ? [TEXTS_READ] : [] };
      depth *= SPARE_DEPTH;
    }
  }

  explain(
    query: string,
    document: DocumentRef,
    options: Pick<SearchOptions, 'idf' | 'syntax'> = {},
  ): ExplainedHit {
    const generation = this.store.generation();
    const question = this.question(generation, query, options, NO_DEADLINE);
    const { impact, text, conditions } = question;
    const byWords = question.mode === 'bm25';
    const { record, view, docId, verdicts } = this.bestCandidate(question, refOf(document));
    const { id, passage } = record;
    const words = byWords ? explainBm25(view, docId, bm25Query(generation, analyze(text))) : undefined;
    const integer = this.ranker.integerScore(view, docId, impact);
    const score = words
      ? words.reduce((sum, { contribution }) => sum + contribution, 0)
      : this.ranker.toScore(integer, impact);
    const isHit = score > 0 && verdicts.every(Boolean);
    const stored = storedId(id, passage);
    const explainer = new TokenExplainer(
      byWords ? NO_TERMS : impact,
      this.store.settings.impactScale,
      this.encoder.tokenizer,
      wordsByToken(text, this.encoder.tokenizer),
    );
    const { tokens, omittedTokens } = explainer.explain(view.segment, docId, this.hits.textIds(record));
    const notices = this.scripts.isUnknown(`${record.title} ${record.text}`)
      ? [...question.notices, UNKNOWN_DOCUMENT]
      : question.notices;
    return {
      id,
      ...(passage === undefined ? {} : { passage }),
      score,
      rank: !isHit
        ? undefined
        : byWords
          ? this.placeOf(question, stored)
          : this.rankOf(question, integer, stored),
      tenthScore: this.first(question, { documents: 10, sources: 0 }).located[9]?.score,
      tokens,
      ...(omittedTokens > 0 ? { omittedTokens } : {}),
      ...(words ? { words } : {}),
      ...(conditions
        ? {
            conditions: conditions.conditions.map(({ kind, text }, i) => ({
              kind,
              text,
              holds: verdicts[i]!,
            })),
          }
        : {}),
      ...(notices.length > 0 ? { notices } : {}),
    };
  }

  /** Of a source's passages the one that passes most easily: meeting the conditions, then with the best score. */
  private bestCandidate(
    { generation, impact, conditions, mode, text }: Question,
    ref: ReturnType<typeof refOf>,
  ) {
    const words = mode === 'bm25' ? bm25Query(generation, analyze(text)) : undefined;
    const candidates = generation.documentsOf(ref).flatMap((record) => {
      const place = generation.locate(storedId(record.id, record.passage));
      if (!place) return [];
      const { view, docId } = place;
      const verdicts = conditions?.holds(record) ?? [];
      const score = words
        ? explainBm25(view, docId, words).reduce((sum, { contribution }) => sum + contribution, 0)
        : this.ranker.integerScore(view, docId, impact);
      return [{ record, view, docId, verdicts, score, passes: verdicts.every(Boolean) }];
    });
    const [first, ...others] = candidates;
    if (!first) throw notFound(displayId(ref));
    const isBetter = (a: typeof first, b: typeof first): boolean =>
      a.passes === b.passes ? a.score > b.score : a.passes;
    return others.reduce((best, one) => (isBetter(one, best) ? one : best), first);
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

  /** 1 + the number of hits that rank before (score, id); undefined when too many texts decide about it. */
  private rankOf(question: Question, score: number, id: string): number | undefined {
    const { conditions } = question;
    let known = true;
    this.texts.start(NO_DEADLINE);
    const before = this.ranker.countBefore(question, score, id, (view, docId) => {
      const passes = conditions ? this.texts.passes(conditions, view, docId) : true;
      if (passes === undefined) known = false;
      return passes === true;
    });
    return known ? before + 1 : undefined;
  }

  /** Rank of a document among the best {@link MAX_TEXTS_READ}; undefined when it stands deeper. */
  private placeOf(question: Question, id: string): number | undefined {
    const { located } = this.first(question, { documents: MAX_TEXTS_READ, sources: 0 });
    const at = located.findIndex((found) => found.id === id);
    return at < 0 ? undefined : at + 1;
  }

  private record(generation: Generation, { view, docId }: Located): StoredRecord {
    const record = generation.document(view.segment.docKeys[docId]!);
    if (record) return record;
    throw missingFields(view, docId, this.store.path);
  }
}

function firstOfEachSource(located: readonly Located[]): Located[] {
  const seen = new Set<string>();
  return located.filter(({ id }) => {
    const source = parseStoredId(id).id;
    return !seen.has(source) && seen.add(source);
  });
}

const ONLY_EXCLUSIONS: Notice = {
  code: 'only-exclusions',
  message: 'the query only says what not to find; add a word to search for',
};

const UNKNOWN_DOCUMENT: Notice = {
  code: 'unknown-document',
  message: 'the model knows no word of this document, which is found by its words only (mode bm25)',
};

const TEXTS_READ: Notice = {
  code: 'texts-read',
  message: `phrases were checked in the texts of the first ${MAX_TEXTS_READ} candidates; there may be more hits`,
};

const unknownScript = (mode: SearchMode): Notice => ({
  code: 'unknown-script',
  message: `the model does not know the script of this query; it was searched by its words (mode bm25, not ${mode})`,
});

const unknownWords = (words: readonly string[]): Notice => ({
  code: 'unknown-words',
  message: `the model does not know the script of ${words.slice(0, 5).join(', ')}${words.length > 5 ? ', …' : ''}; mode hybrid searches for these words as well`,
});

const noTerms = (mode: SearchMode): Notice => ({
  code: 'no-terms',
  message:
    mode === 'bm25'
      ? 'the query has no word that is searched for: words like "the" are left out'
      : 'the query has no token with a weight',
});

function missingFields(view: SegmentView, docId: number, path: string): WinnowError {
  return new WinnowError(
    'WINNOW_INDEX_CORRUPT',
    `document "${displayId(parseStoredId(view.segment.id(docId)))}" has postings but no stored fields`,
    { place: path, hint: `drop what is damaged with: winnow doctor --repair --index ${path}` },
  );
}

function notFound(id: string): WinnowError {
  return new WinnowError('WINNOW_NOT_FOUND', `no document "${id}"`, { place: 'id' });
}
