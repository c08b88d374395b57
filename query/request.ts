import type { Static, TSchema } from 'typebox';
import type { DocumentRef } from '../indexer/format/stored-id.ts';
import { MAX_ID_BYTES } from '../indexer/store/storable.ts';
import { QUERY_IDF, type QueryIdf } from './weights/query-weights.ts';

/*
 * The options of a search: every limit, list of values and default, spelled once as JSON Schema. The server publishes and validates
 * with the schemas as they are, the command line takes its choices, ranges and help from them, and the library checks its arguments
 * with them (`check-arguments.ts`). The interfaces beside them carry the documentation for programs; the type checker proves that
 * both agree.
 */

export const MODES = ['sparse', 'bm25', 'hybrid'] as const;
export const FUSIONS = ['weighted', 'rrf'] as const;
export const SCANS = ['auto', 'exact', 'pruned'] as const;
/** `vector`: the cosine of query and document; `cross`: a small transformer that reads both together. */
export const STAGES = ['vector', 'cross'] as const;
/** `true`: all stages that there are, vectors first. */
const RERANKS = [false, true, ...STAGES] as const;
const SYNTAXES = ['operators', 'plain'] as const;
const SORT_ORDERS = ['asc', 'desc'] as const;

/** `sparse`: learned weights; `bm25`: words only; `hybrid`: both, fused. */
export type SearchMode = (typeof MODES)[number];

export const QUERY = {
  type: 'string',
  minLength: 1,
  maxLength: 10_000,
  description: 'What to search for, as people type it',
} as const;

/** Properties of {@link SEARCH_REQUEST} besides the query: the options of a search. */
export const SEARCH_OPTIONS = {
  k: { type: 'integer', minimum: 1, maximum: 1000, default: 10, description: 'Number of hits' },
  offset: { type: 'integer', minimum: 0, maximum: 10_000, default: 0, description: 'Hits to skip' },
  mode: {
    type: 'string',
    enum: MODES,
    description:
      'Rank by learned weights, by words, or by both; default: sparse, bm25 for an index of words alone',
  },
  filter: {
    type: 'object',
    description:
      'Only documents that match: conditions on declared fields, combined by "and", "or" and "not"',
  },
  explain: { type: 'boolean', default: false, description: 'Split the score of each hit by token' },
  highlight: {
    type: 'boolean',
    default: true,
    description: 'Make snippets, and name the words that the model added',
  },
  fields: {
    type: 'array',
    items: { type: 'string', minLength: 1 },
    maxItems: 256,
    description: 'Metadata fields of the hits to return, default all; "text" adds the whole text',
  },
  vector: {
    type: 'object',
    additionalProperties: { type: 'number', minimum: 0 },
    description:
      'Weight by token of the vocabulary, instead of those that the query would get; words of the query are marked and reranked by',
  },
  groupByParent: {
    type: 'boolean',
    default: false,
    description: 'Keep only the best passage of each document',
  },
  fusion: {
    type: 'string',
    enum: FUSIONS,
    default: 'weighted',
    description: 'How hybrid joins its two rankings: by normalised scores or by ranks',
  },
  sparseWeight: {
    type: 'number',
    minimum: 0,
    maximum: 1,
    default: 0.8,
    description: 'Share of the learned weights in hybrid; words have the rest',
  },
  idf: {
    type: 'string',
    enum: QUERY_IDF,
    default: 'blended',
    description: "Where the weights of query tokens come from: the model's table and the index, or the table",
  },
  sort: {
    type: 'object',
    required: ['field'],
    properties: {
      field: { type: 'string', minLength: 1, description: 'A declared field' },
      order: { type: 'string', enum: SORT_ORDERS, default: 'asc', description: 'Order of its values' },
    },
    additionalProperties: false,
    description: 'Order the best rankDepth hits by a declared field instead of by score',
  },
  facets: {
    type: 'array',
    items: { type: 'string', minLength: 1 },
    maxItems: 32,
    description: 'Declared fields whose values are counted over the best rankDepth hits',
  },
  total: {
    type: 'boolean',
    default: false,
    description: 'Count all documents that match, among the hits or not',
  },
  rankDepth: {
    type: 'integer',
    minimum: 1,
    maximum: 10_000,
    default: 1000,
    description: 'Number of best hits that sort and facets look at',
  },
  scan: {
    type: 'string',
    enum: SCANS,
    default: 'auto',
    description: 'How posting lists are read: every posting, or only blocks that can hold a hit',
  },
  alpha: {
    type: 'number',
    exclusiveMinimum: 0,
    maximum: 1,
    default: 1,
    description:
      'Pruned scans skip blocks whose score bound times alpha is below the hits; at 1 no hit is lost',
  },
  budgetMs: {
    type: 'number',
    exclusiveMinimum: 0,
    description: 'Milliseconds after which the search returns the best hits that it has',
  },
  rerank: {
    enum: RERANKS,
    description:
      'Reorder the best hits: "vector" by the cosine of their vectors with that of the query, "cross" by a cross-encoder, which reads query and passage together; true: by all that there is, vectors first',
  },
  rerankDepth: {
    type: 'integer',
    minimum: 1,
    maximum: 1000,
    description: 'Number of best hits that are reranked; default: what the model recommends',
  },
  minRelevance: {
    type: 'number',
    minimum: 0,
    maximum: 1,
    description: 'Leave out hits whose relevance, judged by the reranker, is below this',
  },
  syntax: {
    type: 'string',
    enum: SYNTAXES,
    default: 'operators',
    description: 'Whether "phrases" and -exclusions in the query are operators or plain text',
  },
} as const;

type Scalar = string | number | boolean;

/** Conditions on one field; all that are given must hold for some value of the document. */
export interface FieldCondition {
  readonly eq?: Scalar;
  readonly in?: readonly Scalar[];
  readonly gt?: string | number;
  readonly gte?: string | number;
  readonly lt?: string | number;
  readonly lte?: string | number;
  /** true: the document has the field; false: it does not. */
  readonly exists?: boolean;
}

/**
 * `{ year: { gte: 2020 }, lang: 'en' }`: all fields must match; a plain value means equality, a list means any of it.
 * `and`, `or` and `not` combine whole filters.
 */
export interface Filter {
  readonly [field: string]:
    | Scalar
    | readonly Scalar[]
    | FieldCondition
    | readonly Filter[]
    | Filter
    | undefined;
}

/** Order of hits by a declared field instead of by score. */
export interface FieldSort {
  readonly field: string;
  /** Default `asc`. */
  readonly order?: 'asc' | 'desc';
}

/** How the postings of learned weights are read. Results are the same unless `alpha` < 1 or a budget ends the search early. */
export interface ScanOptions {
  /**
   * `exact`: every posting of the query's terms. `pruned`: only blocks of documents that can hold a hit, in segments that
   * have block maxima. `auto` (the default): pruned in segments of at least `PRUNED_FROM_DOCS` documents. Leave it alone
   * unless you measure.
   */
  readonly scan?: (typeof SCANS)[number];
  /**
   * 0 < alpha <= 1, default 1: pruned search skips blocks whose score bound times alpha does not reach the hits. At 1
   * no hit is lost. Below 1, a document that is missed scores at most 1 / alpha times the worst hit.
   */
  readonly alpha?: number;
  /**
   * Milliseconds after which the search returns the best hits that it has. All its steps observe the budget: filtering, scanning,
   * checking phrases, making snippets. Default: none.
   */
  readonly budgetMs?: number;
}

export interface SearchOptions extends ScanOptions {
  /** Number of hits, 1..1,000. Default 10. */
  readonly k?: number;
  /** Hits to skip, 0..10,000. Default 0. */
  readonly offset?: number;
  /** Default `sparse`; `bm25` for an index of words alone. */
  readonly mode?: SearchMode;
  /** Only documents that match; fields must have been declared. */
  readonly filter?: Filter;
  /** Add the token-by-token account of each score. Default false. */
  readonly explain?: boolean;
  /** Make snippets and `addedWords`, which takes most of the time of a small search. Default true. */
  readonly highlight?: boolean;
  /** Metadata fields of hits to return, default all; `text` adds {@link Hit.text}. At most 256. */
  readonly fields?: readonly string[];
  /**
   * Weights >= 0 by token of the model's vocabulary, at most 1,024 above 0, instead of those of the query's tokens. Words (`bm25`,
   * `hybrid`), marks and rerankers still use the query's text.
   */
  readonly vector?: Readonly<Record<string, number>>;
  /** Keep only the best passage of each source document. Default false. */
  readonly groupByParent?: boolean;
  /** How `hybrid` joins the two rankings: by normalised scores (`weighted`, the default) or by ranks (`rrf`). */
  readonly fusion?: (typeof FUSIONS)[number];
  /** Share of the learned weights in `hybrid`, 0..1, default .8; words have the rest. */
  readonly sparseWeight?: number;
  /** How query tokens are weighted. Default `blended`. */
  readonly idf?: QueryIdf;
  /** Order the best {@link rankDepth} hits by a declared field; scores stay those of the ranking. */
  readonly sort?: FieldSort;
  /** Declared fields whose values are counted over the best {@link rankDepth} hits. At most 32. */
  readonly facets?: readonly string[];
  /**
   * Count all documents that match: those that the filter accepts and that share a token or word with the query. Default false: it reads
   * every posting of the query, some 3 ns each, which pruned searches avoid.
   */
  readonly total?: boolean;
  /**
   * Number of best hits that `sort` and `facets` look at, 1..10,000; default 1,000. It is bounded because every document that
   * shares a term with the query is a hit, however poor: counts over all of them would say little about the answer.
   */
  readonly rankDepth?: number;
  /**
   * Reorder the best hits. `vector`: by the cosine of their vectors with that of the query, which takes one pass over the query (a
   * millisecond or two). `cross`: by a cross-encoder, which reads query and passage together (some milliseconds per passage and
   * core). `true`: by all stages that model and index have, vectors first. The search is then asynchronous, and the first one loads
   * the model. Default: false; for sparse searches with a model that has a table of token vectors, the cosine with their sum.
   */
  readonly rerank?: (typeof RERANKS)[number];
  /** Number of best hits that are reranked, 1..1,000; the others follow. Default: what the model recommends. */
  readonly rerankDepth?: number;
  /** Leave out hits whose relevance is below this, 0..1. Needs `rerank`. An empty answer means that nothing answers the query. */
  readonly minRelevance?: number;
  /**
   * `operators` (the default): `"exact phrase"`, `-word` and `-"exact phrase"` in the query filter by the words of the text.
   * `plain`: they are words like others.
   */
  readonly syntax?: (typeof SYNTAXES)[number];
}

/** One search: the query, 1..10,000 characters, with its options. */
export interface SearchRequest extends SearchOptions {
  readonly query: string;
}

export const SEARCH_REQUEST = {
  type: 'object',
  required: ['query'],
  properties: { query: QUERY, ...SEARCH_OPTIONS },
  additionalProperties: false,
} as const;

/** Ordinal of a passage. */
export const PASSAGE = {
  type: 'integer',
  minimum: 0,
  maximum: 999_999_999,
  description: 'Ordinal of the passage, from 0',
} as const;

export const DOCUMENT_ID = {
  type: 'string',
  minLength: 1,
  maxLength: MAX_ID_BYTES,
  description: 'The id that the document was added under',
} as const;

/** Options of an explanation. */
export const EXPLAIN_OPTIONS = {
  idf: SEARCH_OPTIONS.idf,
  syntax: SEARCH_OPTIONS.syntax,
  mode: {
    ...SEARCH_OPTIONS.mode,
    description: 'What is explained: bm25: words; sparse, and the learned part of hybrid: tokens',
  },
  budgetMs: {
    ...SEARCH_OPTIONS.budgetMs,
    description: 'Time budget in ms; the rank is left out when it ends first',
  },
} as const;
export type ExplainOptions = Pick<SearchOptions, keyof typeof EXPLAIN_OPTIONS>;

/** Which document's score for which query is to be explained. Of a source that was cut into passages: its best one. */
export interface ExplainRequest extends ExplainOptions {
  readonly query: string;
  readonly document: DocumentRef;
}

/** {@link ExplainRequest} as JSON: the document is named by `id` and `passage`. */
export const EXPLAIN_REQUEST = {
  type: 'object',
  required: ['query', 'id'],
  properties: { query: QUERY, id: DOCUMENT_ID, passage: PASSAGE, ...EXPLAIN_OPTIONS },
  additionalProperties: false,
} as const;

/** A type with all its lists and properties read-only. */
type Immutable<T> = T extends readonly (infer Item)[]
  ? readonly Immutable<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: Immutable<T[K]> }
    : T;

/** Values of a JSON Schema. */
export type ValueOf<Schema extends TSchema> = Immutable<Static<Schema>>;

/** `true` where both types have the same properties of the same types, so that `true satisfies Agrees<A, B>` compiles only then. */
export type Agrees<A, B> =
  (<T>() => T extends Immutable<A> ? 1 : 2) extends <T>() => T extends Immutable<B> ? 1 : 2 ? true : never;

// Filters are checked when they are compiled (`filter/filter.ts`) and vectors when they are quantised: JSON Schema cannot name
// the declared fields and the tokens.
type Unfiltered<Request> = Omit<Request, 'filter' | 'vector'>;
true satisfies Agrees<Unfiltered<SearchRequest>, Unfiltered<ValueOf<typeof SEARCH_REQUEST>>>;
