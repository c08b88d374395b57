import { Type } from 'typebox';
import type { StoredRecord, StoredSource } from '../indexer/records.ts';
import { EXPLAIN_REQUEST, SEARCH_REQUEST } from '../query/request.ts';
import type { ExplainedHit, SearchOptions, SearchResult } from '../query/search-types.ts';

/** Shapes of requests and answers; Fastify validates with them and the OpenAPI page is made from them. */

export const SearchRequest = Type.Unsafe<SearchOptions & { query: string }>(SEARCH_REQUEST);

const TokenExplanation = Type.Object({
  token: Type.String(),
  word: Type.String(),
  queryWeight: Type.Number(),
  weight: Type.Number(),
  contribution: Type.Number(),
  origin: Type.String(),
});

const Notices = Type.Array(Type.Object({ code: Type.String(), message: Type.String() }));

/** Any names. Type.Record would ask them to match `^.*$`, and names with line ends would not come into the answer. */
const Metadata = Type.Unsafe<Readonly<Record<string, unknown>>>({
  type: 'object',
  additionalProperties: true,
});

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
        passage: Type.Optional(Type.Integer()),
        explanation: Type.Optional(Type.Array(TokenExplanation)),
        omittedTokens: Type.Optional(Type.Integer()),
      }),
    ),
    mode: Type.String(),
    complete: Type.Boolean(),
    notices: Type.Optional(Notices),
    facets: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        additionalProperties: Type.Array(
          Type.Object({
            value: Type.Union([Type.String(), Type.Number(), Type.Boolean()]),
            count: Type.Integer(),
          }),
        ),
      }),
    ),
    tookUs: Type.Number(),
  }),
);

export const ExplainRequest = Type.Unsafe<
  Pick<SearchOptions, 'idf' | 'syntax'> & { query: string; id: string; passage?: number }
>(EXPLAIN_REQUEST);

export const ExplainResponse = Type.Unsafe<ExplainedHit>(
  Type.Object({
    id: Type.String(),
    passage: Type.Optional(Type.Integer()),
    score: Type.Number(),
    rank: Type.Optional(Type.Integer()),
    tenthScore: Type.Optional(Type.Number()),
    tokens: Type.Array(TokenExplanation),
    omittedTokens: Type.Optional(Type.Integer()),
    words: Type.Optional(
      Type.Array(
        Type.Object({
          word: Type.String(),
          idf: Type.Number(),
          frequency: Type.Integer(),
          contribution: Type.Number(),
        }),
      ),
    ),
    conditions: Type.Optional(
      Type.Array(Type.Object({ kind: Type.String(), text: Type.String(), holds: Type.Boolean() })),
    ),
    notices: Type.Optional(Notices),
  }),
);

export const StoredDocument = Type.Unsafe<StoredRecord | StoredSource>(
  Type.Object({
    id: Type.String(),
    title: Type.String(),
    text: Type.String(),
    metadata: Metadata,
    passage: Type.Optional(Type.Integer()),
    passages: Type.Optional(Type.Array(Type.Integer())),
  }),
);

export const DocumentId = Type.Object({ id: Type.String({ minLength: 1, maxLength: 512 }) });

/** Query strings are texts. */
export const PassageQuery = Type.Object(
  { passage: Type.Optional(Type.String({ pattern: '^[0-9]{1,9}$' })) },
  { additionalProperties: false },
);

const RowError = Type.Object({ line: Type.Integer(), code: Type.String(), message: Type.String() });

export const AddResponse = Type.Object({
  added: Type.Integer(),
  replaced: Type.Integer(),
  unchanged: Type.Integer(),
  mended: Type.Integer(),
  duplicates: Type.Object({
    rows: Type.Integer(),
    first: Type.Array(Type.Object({ id: Type.String(), earlier: Type.Integer(), later: Type.Integer() })),
  }),
  refused: Type.Integer(),
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

/** Requests name no paths. */
export const SnapshotRequest = Type.Object({}, { additionalProperties: false });

export const SnapshotResponse = Type.Object({
  name: Type.String(),
  formatVersion: Type.Integer(),
  createdAt: Type.String(),
  documents: Type.Integer(),
  bytes: Type.Integer(),
  sha256: Type.String(),
});

/** A folder that cannot be restored as it is, and why. */
const UnusableSnapshot = Type.Object({
  name: Type.String(),
  code: Type.String(),
  message: Type.String(),
  hint: Type.Optional(Type.String()),
});

export const SnapshotsResponse = Type.Object({
  snapshots: Type.Array(SnapshotResponse),
  unusable: Type.Array(UnusableSnapshot),
});
