import { Type } from 'typebox';
import type { SearchQuery } from '../../../app/service/types.ts';
import { ENCODE_KINDS, type EncodedText, type EncodeKind } from '../../../query/backend.ts';
import { EXPLAIN_REQUEST, type ExplainOptions, QUERY, SEARCH_OPTIONS } from '../../../query/request.ts';
import {
  EXPLANATION,
  type Explanation,
  SEARCH_RESPONSE,
  type SearchResponse,
} from '../../../query/response.ts';
import { CLOSED, CollectionName, Failure } from './common.ts';

const SEARCH = {
  type: 'object',
  properties: { query: QUERY, ...SEARCH_OPTIONS },
  additionalProperties: false,
} as const;

/** The library's request; `query` may be left out where `vector` is given. */
export const SearchRequest = Type.Unsafe<SearchQuery>({ ...SEARCH, examples: [{ query: 'blue sky', k: 3 }] });
export const SearchAnswer = Type.Unsafe<SearchResponse>(SEARCH_RESPONSE);

const MAX_SEARCHES = 32;

export const MultiSearchRequest = Type.Object(
  {
    searches: Type.Array(
      Type.Unsafe<SearchQuery & { readonly collection: string }>({
        ...SEARCH,
        required: ['collection'],
        properties: { collection: CollectionName(), ...SEARCH.properties },
      }),
      { minItems: 1, maxItems: MAX_SEARCHES, description: 'Answered in their order' },
    ),
  },
  CLOSED,
);

const Result = Type.Unsafe<SearchResponse | { readonly error: Type.Static<typeof Failure> }>({
  type: 'object',
  description: 'The answer of a search, or its error alone',
  properties: { ...SEARCH_RESPONSE.properties, error: Failure },
});
export const MultiSearchAnswer = Type.Object({ results: Type.Array(Result) });

export const ExplainRequest = Type.Unsafe<ExplainOptions & { query: string; id: string; passage?: number }>(
  EXPLAIN_REQUEST,
);
export const ExplainAnswer = Type.Unsafe<Explanation>(EXPLANATION);

export const EncodeRequest = Type.Object(
  {
    texts: Type.Array(Type.String({ minLength: 1, maxLength: 100_000 }), {
      minItems: 1,
      maxItems: 64,
      description:
        "Texts; of documents, what is beyond the model's window is cut off; queries have at most 10,000 characters each",
    }),
    kind: Type.Optional(
      Type.Unsafe<EncodeKind>({
        type: 'string',
        enum: ENCODE_KINDS,
        default: 'document',
        description:
          'Encode as documents, by the model, or as queries, by rarity on the web and in the collection',
      }),
    ),
  },
  CLOSED,
);

export const EncodeAnswer = Type.Object({
  items: Type.Array(
    Type.Unsafe<EncodedText>(
      Type.Object({
        terms: Type.Record(Type.String(), Type.Number(), { description: 'Weight by token, heaviest first' }),
        vector: Type.Optional(
          Type.Array(Type.Number(), { description: 'Of length 1; absent where the model makes none' }),
        ),
      }),
    ),
    { description: 'One per text, in their order' },
  ),
});
