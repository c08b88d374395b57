import { Type } from 'typebox';
import type { StoredRecord, StoredSource } from '../indexer/storage.ts';
import type { ExplainedHit, SearchResult } from '../query/searcher.ts';

/** Shapes of requests and answers; Fastify validates with them and the OpenAPI page is made from them. */

const closed = { additionalProperties: false };

const Idf = Type.Union([Type.Literal('blended'), Type.Literal('table')]);

export const SearchRequest = Type.Object(
  {
    query: Type.String({ minLength: 1, maxLength: 10_000 }),
    k: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 10 })),
    offset: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000, default: 0 })),
    mode: Type.Optional(Type.Union([Type.Literal('sparse'), Type.Literal('bm25'), Type.Literal('hybrid')])),
    filter: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    explain: Type.Optional(Type.Boolean()),
    groupByParent: Type.Optional(Type.Boolean()),
    fusion: Type.Optional(Type.Union([Type.Literal('rrf'), Type.Literal('weighted')])),
    sparseWeight: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    idf: Type.Optional(Idf),
    sort: Type.Optional(
      Type.Object(
        {
          field: Type.String({ minLength: 1 }),
          order: Type.Optional(Type.Union([Type.Literal('asc'), Type.Literal('desc')])),
        },
        closed,
      ),
    ),
    facets: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { maxItems: 32 })),
    among: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    scan: Type.Optional(Type.Union([Type.Literal('auto'), Type.Literal('exact'), Type.Literal('pruned')])),
    alpha: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    budgetMs: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  },
  closed,
);

const TokenExplanation = Type.Object({
  token: Type.String(),
  word: Type.String(),
  queryWeight: Type.Number(),
  weight: Type.Number(),
  contribution: Type.Number(),
  origin: Type.String(),
});

const Metadata = Type.Record(Type.String(), Type.Unknown());

/** The engine's result is read-only, which TypeBox's own type would not be. */
export const SearchResponse = Type.Unsafe<SearchResult>(
  Type.Object({
    hits: Type.Array(
      Type.Object({
        id: Type.String(),
        score: Type.Number(),
        title: Type.String(),
        snippet: Type.Object({
          parts: Type.Array(Type.Object({ text: Type.String(), marked: Type.Boolean() })),
          cutBefore: Type.Boolean(),
          cutAfter: Type.Boolean(),
        }),
        addedWords: Type.Array(Type.String()),
        metadata: Metadata,
        parentId: Type.Optional(Type.String()),
        explanation: Type.Optional(Type.Array(TokenExplanation)),
      }),
    ),
    mode: Type.String(),
    complete: Type.Boolean(),
    facets: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Array(
          Type.Object({
            value: Type.Union([Type.String(), Type.Number(), Type.Boolean()]),
            count: Type.Integer(),
          }),
        ),
      ),
    ),
    tookUs: Type.Number(),
  }),
);

export const ExplainRequest = Type.Object(
  {
    query: Type.String({ minLength: 1, maxLength: 10_000 }),
    id: Type.String({ minLength: 1, maxLength: 512 }),
    idf: Type.Optional(Idf),
  },
  closed,
);

export const ExplainResponse = Type.Unsafe<ExplainedHit>(
  Type.Object({
    id: Type.String(),
    score: Type.Number(),
    rank: Type.Optional(Type.Integer()),
    tenthScore: Type.Optional(Type.Number()),
    tokens: Type.Array(TokenExplanation),
  }),
);

export const StoredDocument = Type.Unsafe<StoredRecord | StoredSource>(
  Type.Object({
    id: Type.String(),
    title: Type.String(),
    text: Type.String(),
    metadata: Metadata,
    parentId: Type.Optional(Type.String()),
    passages: Type.Optional(Type.Array(Type.String())),
  }),
);

export const DocumentId = Type.Object({ id: Type.String({ minLength: 1, maxLength: 512 }) });

const RowError = Type.Object({ line: Type.Integer(), code: Type.String(), message: Type.String() });

export const AddResponse = Type.Object({
  added: Type.Integer(),
  replaced: Type.Integer(),
  unchanged: Type.Integer(),
  errors: Type.Array(RowError),
});

export const DeleteResponse = Type.Object({ deleted: Type.Integer() });

export const HealthResponse = Type.Object({
  status: Type.Literal('ok'),
  documents: Type.Integer(),
  generation: Type.Integer(),
  model: Type.String(),
});

export const ErrorResponse = Type.Object({
  code: Type.String(),
  message: Type.String(),
  place: Type.Optional(Type.String()),
  hint: Type.Optional(Type.String()),
});
