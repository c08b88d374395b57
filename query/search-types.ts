import type { SegmentView } from '../indexer/generation.ts';
import type { WordContribution } from './bm25.ts';
import type { TokenExplanation } from './explain.ts';
import type { FacetCount, FieldSort } from './fields.ts';
import type { Filter } from './filter.ts';
import type { QueryIdf } from './query-weights.ts';
import type { MAX_TEXTS_READ } from './request.ts';
import type { PRUNED_FROM_DOCS } from './segment-search.ts';
import type { Snippet } from './snippet.ts';

/** `sparse`: learned weights; `bm25`: words only; `hybrid`: both, fused. */
export type SearchMode = 'sparse' | 'bm25' | 'hybrid';

/** How the postings of learned weights are read; results are the same unless `alpha` < 1 or a budget cuts them short. */
export interface ScanOptions {
  /**
   * `exact`: every posting of the query's terms; `pruned`: only blocks of documents that can hold a hit, in segments that
   * keep block maxima; `auto` (the default): pruned in segments of at least {@link PRUNED_FROM_DOCS} documents.
   */
  readonly scan?: 'auto' | 'exact' | 'pruned';
  /**
   * 0 < alpha <= 1, default 1: pruned search skips blocks whose score bound times alpha does not reach the hits. At 1
   * no hit is lost; below, a document that is missed scores at most 1 / alpha times the worst hit.
   */
  readonly alpha?: number;
  /**
   * Milliseconds after which the search answers with the best it has, whatever it is at: filtering, scanning, checking phrases,
   * making snippets. Default: none.
   */
  readonly budgetMs?: number;
}

export interface SearchOptions extends ScanOptions {
  /** Number of hits, 1..1,000. Default 10. */
  readonly k?: number;
  /** Hits to skip, 0..10,000. Default 0. */
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
  /**
   * `operators` (the default): `"exact phrase"`, `-word` and `-"exact phrase"` in the query filter by the words of the text;
   * `plain`: they are words like others.
   */
  readonly syntax?: 'operators' | 'plain';
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
  /** Tokens that the document lacks beyond those that the explanation lists; absent when 0. */
  readonly omittedTokens?: number;
}

/** Something about the query or the index that explains the answer. */
export interface Notice {
  /**
   * - `unknown-script`: the model knows no word of the query's script, which was searched by its words (`bm25`);
   * - `unknown-words`: the model cannot read some words of the query;
   * - `only-exclusions`: the query says what not to find only;
   * - `no-terms`: no word of the query can be searched for in this mode;
   * - `unknown-document`: the model knows no word of the document, which only `bm25` finds;
   * - `texts-read`: phrases were checked in the first {@link MAX_TEXTS_READ} candidates only.
   */
  readonly code:
    | 'unknown-script'
    | 'unknown-words'
    | 'only-exclusions'
    | 'no-terms'
    | 'unknown-document'
    | 'texts-read';
  readonly message: string;
}

export interface SearchResult {
  readonly hits: readonly Hit[];
  /** The mode that ranked the hits: `bm25` instead of the one asked for where the model does not know the query's script. */
  readonly mode: SearchMode;
  /**
   * False when `budgetMs` or the bound on texts read ran out first: better documents may exist, and hits may lack snippet,
   * `addedWords` and explanation.
   */
  readonly complete: boolean;
  /** Absent when there are none. */
  readonly notices?: readonly Notice[];
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
  /**
   * Rank among all documents, from 1; undefined when the score is 0, a condition does not hold, or it takes reading more than
   * {@link MAX_TEXTS_READ} texts to know.
   */
  readonly rank: number | undefined;
  /** Score that stands at rank 10, where the usual list of hits ends; undefined when there are fewer hits. */
  readonly tenthScore: number | undefined;
  readonly tokens: readonly TokenExplanation[];
  /** Tokens that the document lacks beyond those listed; absent when 0. */
  readonly omittedTokens?: number;
  /** Words that score instead of tokens where the model does not know the query's script. */
  readonly words?: readonly WordContribution[];
  /** The query's phrases and exclusions and whether each holds; the document is a hit only if all do. Absent when there are none. */
  readonly conditions?: readonly ConditionExplanation[];
  /** Absent when there are none. */
  readonly notices?: readonly Notice[];
}

export interface ConditionExplanation {
  readonly kind: 'phrase' | 'exclusion';
  /** As typed, without quotes and dash. */
  readonly text: string;
  /** Whether the document has the phrase, or lacks what is excluded. */
  readonly holds: boolean;
}

/** A document found in a segment, before its fields are read. */
export interface Located {
  /** Its stored id (`parseStoredId`): what tells it from all others; of a whole document the user's id. */
  readonly id: string;
  readonly score: number;
  readonly view: SegmentView;
  readonly docId: number;
}
