import type { FacetCount } from './filter/fields.ts';
import type { Snippet } from './hydrate/snippet.ts';
import type { TokenExplanation } from './hydrate/token-explanation.ts';
import { type Agrees, DOCUMENT_ID, MODES, PASSAGE, type SearchMode, type ValueOf } from './request.ts';
import type { WordContribution } from './retrieve/bm25.ts';
import type { StageScores } from './retrieve/retriever.ts';

/*
 * What a search answers, once as interfaces for programs and once as JSON Schema, which the server serialises with and publishes.
 * The type checker proves that both agree, because a field that the schema lacks would be dropped from HTTP answers without notice.
 */

/** A document found by a search. */
export interface Hit {
  /** The id that the document, or the source of the passage, was added under. */
  readonly id: string;
  /** Ordinal of the passage, from 0; absent for a whole document. */
  readonly passage?: number;
  /** Comparable within one answer only. */
  readonly score: number;
  readonly title: string;
  readonly snippet: Snippet;
  /** Words of the query that score although the document lacks them: the model added them. Strongest first. */
  readonly addedWords: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The whole text. Present where `fields` of the request names it. */
  readonly text?: string;
  /** How well the hit answers the query, 0..1, judged by the last stage that scored it. Absent for hits that were not reranked. */
  readonly relevance?: number;
  /** The score of each stage. Present where the request says `explain` and the hit was reranked. */
  readonly stages?: StageScores;
  /** Present where the request says `explain`. */
  readonly explanation?: readonly TokenExplanation[];
  /** Number of tokens that the document lacks beyond those that the explanation lists; absent when 0. */
  readonly omittedTokens?: number;
}

/**
 * What a {@link Notice} is about:
 *
 * - `unknown-script`: the model knows no word of the query's script, which was searched by its words (`bm25`);
 * - `unknown-words`: the model cannot read some words of the query;
 * - `only-exclusions`: the query says only what not to find;
 * - `no-terms`: no word of the query can be searched for in this mode;
 * - `unknown-document`: the model knows no word of the document, which only `bm25` finds;
 * - `texts-read`: phrases were checked in the first `MAX_TEXTS_READ` candidates only;
 * - `shards-failed`: a part of a cluster did not answer, and its documents are missing;
 * - `heaviest-first`: the query is longer than a cluster takes, and documents were found by its heaviest tokens.
 */
const NOTICE_CODES = [
  'unknown-script',
  'unknown-words',
  'only-exclusions',
  'no-terms',
  'unknown-document',
  'texts-read',
  'shards-failed',
  'heaviest-first',
] as const;

/** Something about the query or the index that explains the answer. */
export interface Notice {
  readonly code: (typeof NOTICE_CODES)[number];
  readonly message: string;
}

export interface SearchResponse {
  /** Best first, or in the order of `sort`. */
  readonly hits: readonly Hit[];
  /** The mode that ranked the hits: `bm25` instead of the requested one where the model does not know the query's script. */
  readonly mode: SearchMode;
  /**
   * False when `budgetMs` or the bound on texts read ended the search early: better documents may exist, and hits may lack
   * snippet, `addedWords` and explanation.
   */
  readonly complete: boolean;
  /** How many documents the last stage scored; fewer than requested when the budget ended first. Absent without `rerank`. */
  readonly reranked?: number;
  /** Absent when there are none. */
  readonly notices?: readonly Notice[];
  /** Counts of each field that the request's `facets` names. */
  readonly facets?: Readonly<Record<string, readonly FacetCount[]>>;
  /**
   * With the request's `total`: number of documents that match; passages count one each, also where they are grouped, and before
   * `minRelevance` leaves any out. Absent where it is not known: phrases are looked up in texts, the time budget ended, or the index is
   * in a cluster.
   */
  readonly total?: number;
  /** Time from text to hits, microseconds. */
  readonly tookUs: number;
  /** Where that time went. */
  readonly timings: SearchTimings;
}

/** Microseconds of each stage of a search; together they are `tookUs`. */
export interface SearchTimings {
  /** From the text to weighted tokens and a filter. */
  readonly encodeUs: number;
  /** Finding the best documents, and fusing two rankings. */
  readonly searchUs: number;
  /** Reordering them, waiting included. Absent where no stage reranked. */
  readonly rerankUs?: number;
  /** Sorting, grouping, counting and paging them, and making hits with snippets and explanations. */
  readonly hydrateUs: number;
}

/** Why a document has the score that it has for a query, token by token. */
export interface Explanation {
  readonly id: string;
  /** Ordinal of the passage that is explained; absent for a whole document. */
  readonly passage?: number;
  readonly score: number;
  /**
   * Rank among all documents, from 1. Absent when the score is 0, when a condition does not hold, or when more than
   * `MAX_TEXTS_READ` texts would have to be read to know it.
   */
  readonly rank?: number;
  /** Score at rank 10, where the usual list of hits ends; absent when there are fewer hits. */
  readonly tenthScore?: number;
  readonly tokens: readonly TokenExplanation[];
  /** Number of tokens that the document lacks beyond those listed; absent when 0. */
  readonly omittedTokens?: number;
  /** Words that score instead of tokens where the model does not know the query's script. */
  readonly words?: readonly WordContribution[];
  /** The query's phrases and exclusions. The document is a hit only if all hold. Absent when there are none. */
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

const TEXT = { type: 'string' } as const;
const NUMBER = { type: 'number' } as const;
const INTEGER = { type: 'integer' } as const;
const BOOLEAN = { type: 'boolean' } as const;

/** Any names and JSON values. */
export const METADATA = { type: 'object', additionalProperties: true } as const;

const TOKEN_EXPLANATIONS = {
  type: 'array',
  description: 'The score by token of the query, largest contribution first',
  items: {
    type: 'object',
    required: ['token', 'word', 'queryWeight', 'weight', 'contribution', 'origin'],
    properties: {
      token: { ...TEXT, description: 'WordPiece' },
      word: { ...TEXT, description: 'Word of the query that the token is part of' },
      queryWeight: { ...NUMBER, description: 'Weight of the token in the query' },
      weight: { ...NUMBER, description: 'Weight of the token in the document; 0 where it lacks the token' },
      contribution: { ...NUMBER, description: 'queryWeight * weight' },
      origin: {
        ...TEXT,
        enum: ['text', 'added', 'missing'],
        description: 'Whether the token is in the text, was added by the model, or is missing',
      },
    },
  },
} as const;

const OMITTED_TOKENS = {
  ...INTEGER,
  description: 'Number of tokens that the document lacks beyond those listed',
} as const;

const NOTICES = {
  type: 'array',
  description: 'What explains an unexpected answer',
  items: {
    type: 'object',
    required: ['code', 'message'],
    properties: { code: { ...TEXT, enum: NOTICE_CODES }, message: TEXT },
  },
} as const;

const SNIPPET = {
  type: 'object',
  description: 'The part of the text that answers best',
  required: ['parts', 'cutBefore', 'cutAfter'],
  properties: {
    parts: {
      type: 'array',
      items: {
        type: 'object',
        required: ['text', 'marked'],
        properties: { text: TEXT, marked: { ...BOOLEAN, description: 'Whether it is a word of the query' } },
      },
    },
    cutBefore: { ...BOOLEAN, description: 'Whether text before it is left out' },
    cutAfter: { ...BOOLEAN, description: 'Whether text after it is left out' },
  },
} as const;

const HIT = {
  type: 'object',
  required: ['id', 'score', 'title', 'snippet', 'addedWords', 'metadata'],
  properties: {
    id: DOCUMENT_ID,
    passage: PASSAGE,
    score: { ...NUMBER, description: 'Comparable within one answer only' },
    title: TEXT,
    snippet: SNIPPET,
    addedWords: {
      type: 'array',
      items: TEXT,
      description: 'Words of the query that score although the document lacks them, strongest first',
    },
    metadata: METADATA,
    text: { ...TEXT, description: 'The whole text, where "fields" names it' },
    relevance: { ...NUMBER, description: 'How well the hit answers, 0..1, judged by the reranker' },
    stages: {
      type: 'object',
      description: 'The score of each stage, with "explain"',
      required: ['retrieval'],
      properties: {
        retrieval: NUMBER,
        vector: NUMBER,
        cross: NUMBER,
        early: {
          ...NUMBER,
          description: 'In place of "cross": what the first layers of the reranker estimate',
        },
      },
    },
    explanation: TOKEN_EXPLANATIONS,
    omittedTokens: OMITTED_TOKENS,
  },
} as const;

export const SEARCH_RESPONSE = {
  type: 'object',
  required: ['hits', 'mode', 'complete', 'tookUs', 'timings'],
  properties: {
    hits: { type: 'array', items: HIT, description: 'Best first, or in the order of "sort"' },
    mode: { ...TEXT, enum: MODES, description: 'The mode that ranked the hits' },
    complete: { ...BOOLEAN, description: 'False when a time budget ended the search early' },
    reranked: { ...INTEGER, description: 'How many documents were reranked' },
    notices: NOTICES,
    facets: {
      type: 'object',
      description: 'By field: its values with the number of documents',
      additionalProperties: {
        type: 'array',
        items: {
          type: 'object',
          required: ['value', 'count'],
          properties: { value: { anyOf: [TEXT, NUMBER, BOOLEAN] }, count: INTEGER },
        },
      },
    },
    total: {
      ...INTEGER,
      description:
        'With "total": how many documents match; passages count one each, also where they are grouped, and before "minRelevance" leaves any out. Absent where it is not known: phrases are looked up in texts, the time budget ended, or the index is in a cluster',
    },
    tookUs: { ...NUMBER, description: 'Microseconds from text to hits' },
    timings: {
      type: 'object',
      description: 'Where that time went',
      required: ['encodeUs', 'searchUs', 'hydrateUs'],
      properties: {
        encodeUs: { ...NUMBER, description: 'From the text to weighted tokens and a filter' },
        searchUs: { ...NUMBER, description: 'Finding the best documents' },
        rerankUs: { ...NUMBER, description: 'Reordering them, waiting included' },
        hydrateUs: { ...NUMBER, description: 'Sorting, paging, and making hits with snippets' },
      },
    },
  },
} as const;

export const EXPLANATION = {
  type: 'object',
  required: ['id', 'score', 'tokens'],
  properties: {
    id: DOCUMENT_ID,
    passage: PASSAGE,
    score: NUMBER,
    rank: { ...INTEGER, description: 'Rank among all documents, from 1; absent where it is not a hit' },
    tenthScore: { ...NUMBER, description: 'Score at rank 10' },
    tokens: TOKEN_EXPLANATIONS,
    omittedTokens: OMITTED_TOKENS,
    words: {
      type: 'array',
      description: "The score by word, where the model does not know the query's script",
      items: {
        type: 'object',
        required: ['word', 'idf', 'frequency', 'contribution'],
        properties: { word: TEXT, idf: NUMBER, frequency: INTEGER, contribution: NUMBER },
      },
    },
    conditions: {
      type: 'array',
      description: "The query's phrases and exclusions",
      items: {
        type: 'object',
        required: ['kind', 'text', 'holds'],
        properties: { kind: { ...TEXT, enum: ['phrase', 'exclusion'] }, text: TEXT, holds: BOOLEAN },
      },
    },
    notices: NOTICES,
  },
} as const;

true satisfies Agrees<SearchResponse, ValueOf<typeof SEARCH_RESPONSE>>;
true satisfies Agrees<Explanation, ValueOf<typeof EXPLANATION>>;
