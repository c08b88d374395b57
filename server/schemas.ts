import { Type } from 'typebox';
import type { StoredRecord, StoredSource } from '../indexer/store/records.ts';
import {
  type Agrees,
  DOCUMENT_ID,
  EXPLAIN_REQUEST,
  type ExplainOptions,
  PASSAGE,
  SEARCH_REQUEST,
  type SearchRequest as Search,
} from '../query/request.ts';
import {
  EXPLANATION,
  type Explanation,
  type SearchResponse as Found,
  METADATA,
  SEARCH_RESPONSE,
} from '../query/response.ts';
import type { AddReport } from './upload.ts';

/*
 * Shapes of requests and answers. Fastify validates and serialises with them, and `/openapi.json` is made from them. Those of
 * searches and explanations come from query/, where the type checker compares them with the interfaces.
 */

export const SearchRequest = Type.Unsafe<Search>(SEARCH_REQUEST);
export const SearchResponse = Type.Unsafe<Found>(SEARCH_RESPONSE);

export const ExplainRequest = Type.Unsafe<ExplainOptions & { query: string; id: string; passage?: number }>(
  EXPLAIN_REQUEST,
);
export const ExplainResponse = Type.Unsafe<Explanation>(EXPLANATION);

const text = (description: string) => Type.String({ description });
const integer = (description: string) => Type.Integer({ description });

export const StoredDocument = Type.Unsafe<StoredRecord | StoredSource>(
  Type.Object({
    id: Type.Unsafe<string>(DOCUMENT_ID),
    title: Type.String(),
    text: Type.String(),
    metadata: Type.Unsafe<Readonly<Record<string, unknown>>>(METADATA),
    passage: Type.Optional(Type.Unsafe<number>(PASSAGE)),
    passages: Type.Optional(
      Type.Array(Type.Integer(), {
        description: 'Ordinals of the passages that a long document was cut into',
      }),
    ),
  }),
);

export const DocumentId = Type.Object({ id: Type.Unsafe<string>(DOCUMENT_ID) });

/** Query strings are texts. */
export const PassageQuery = Type.Object(
  {
    passage: Type.Optional(
      Type.String({ pattern: '^[0-9]{1,9}$', description: 'Only this passage of the document' }),
    ),
  },
  { additionalProperties: false },
);

export const AddResponse = Type.Object({
  added: integer('Documents that the index did not have'),
  replaced: integer('Documents that the index had with another content'),
  unchanged: integer('Documents that the index had with the same content'),
  mended: integer('Documents with unpaired surrogates, which were stored as U+FFFD'),
  duplicates: Type.Object(
    {
      rows: integer('Number of such rows'),
      first: Type.Array(
        Type.Object({
          id: Type.String(),
          earlier: integer('Line of the row that lost'),
          later: integer('Line of the row that won'),
        }),
        { description: 'The first 100 of them' },
      ),
    },
    { description: 'Rows whose id came before in the request' },
  ),
  refused: integer('Rows that cannot be stored'),
  errors: Type.Array(Type.Object({ line: Type.Integer(), code: Type.String(), message: Type.String() }), {
    description: 'The first 100 of them',
  }),
});
true satisfies Agrees<AddReport, Type.Static<typeof AddResponse>>;

export const DeleteResponse = Type.Object({ deleted: integer('1') });

export const HealthResponse = Type.Object({
  status: Type.Literal('ok'),
  documents: integer('Documents of the index; passages count one each'),
  generation: integer('Number of the newest commit'),
  model: text('Name of the model that documents are encoded with'),
});

export const AliveResponse = Type.Object({ status: Type.Literal('ok') });

export const ErrorResponse = Type.Object({
  code: text('One of docs/errors.md, for programs'),
  message: text('For people'),
  place: Type.Optional(text('Where it is: a parameter, or a line of the body')),
  hint: Type.Optional(text('The way out')),
  suggestion: Type.Optional(text('The right name of a parameter that is unknown')),
  requestId: Type.Optional(text('The header x-request-id, which the log of the server has, too')),
});

/** Requests name no paths. */
export const SnapshotRequest = Type.Object({}, { additionalProperties: false });

export const SnapshotResponse = Type.Object({
  name: text('Name of its folder: time and generation'),
  formatVersion: integer('Version of the index format'),
  createdAt: text('ISO 8601, UTC'),
  documents: integer('Documents in it; passages count one each'),
  bytes: integer('Size of its index file'),
  sha256: text('Checksum of its index file'),
});

export const SnapshotsResponse = Type.Object({
  snapshots: Type.Array(SnapshotResponse, { description: 'Oldest first' }),
  unusable: Type.Array(
    Type.Object({
      name: Type.String(),
      code: Type.String(),
      message: Type.String(),
      hint: Type.Optional(Type.String()),
    }),
    { description: 'Folders that cannot be restored as they are, and why' },
  ),
});
