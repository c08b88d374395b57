import { Type } from 'typebox';
import {
  WRITE_MODES,
  type WriteMode,
  type WriteResult,
  type WriteSummary,
} from '../../../app/service/types.ts';
import type { Filter } from '../../../query/request.ts';
import { type Agrees, DOCUMENT_ID, SEARCH_OPTIONS } from '../../../query/request.ts';
import { METADATA } from '../../../query/response.ts';
import { CLOSED, Failure, integer, text } from './common.ts';

export const DocumentPath = Type.Object({
  c: Type.String({ description: 'Name of a collection or alias' }),
  id: Type.Unsafe<string>(DOCUMENT_ID),
});

const Row = Type.Object(
  {},
  {
    additionalProperties: true,
    description: 'A document: {id, text, title?, ...metadata}; metadata may also be an object of that name',
  },
);

/** One document or a list. Rows are checked one by one, so that a bad one does not refuse the others. */
export const DocumentsBody = Type.Union([Row, Type.Array(Row, { maxItems: 10_000 })]);

export const RESULTS = ['all', 'errors', 'none'] as const;

export const WriteQuery = Type.Object(
  {
    mode: Type.Optional(
      Type.Unsafe<WriteMode>({
        type: 'string',
        enum: WRITE_MODES,
        default: 'upsert',
        description: 'upsert replaces a document with the same id; insert refuses it',
      }),
    ),
    results: Type.Optional(
      Type.Unsafe<(typeof RESULTS)[number]>({
        type: 'string',
        enum: RESULTS,
        default: 'all',
        description: 'Which lines are answered; the summary always comes',
      }),
    ),
    passages: Type.Optional(
      Type.Unsafe<'true' | 'false'>({
        type: 'string',
        enum: ['true', 'false'],
        default: 'true',
        description: "Cut long texts into passages; otherwise they are cut off at the model's window",
      }),
    ),
  },
  CLOSED,
);

export const FileQuery = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'Name of the file, whose ending says how it is read',
    }),
    results: WriteQuery.properties.results,
    passages: WriteQuery.properties.passages,
  },
  CLOSED,
);

const DocumentResult = Type.Object({
  line: integer('Line of the body, or place in the list, from 1'),
  id: Type.Optional(text('Absent where it could not be read')),
  status: Type.Unsafe<WriteResult['status']>({
    type: 'string',
    enum: ['added', 'replaced', 'unchanged', 'superseded', 'failed'],
    description: 'superseded: a later row of the request has the same id; failed: see error',
  }),
  error: Type.Optional(Failure),
});
true satisfies Agrees<WriteResult, Type.Static<typeof DocumentResult>>;

const WriteSummarySchema = Type.Object({
  added: integer('Documents that the collection did not have'),
  replaced: integer('Documents that the collection had with another content'),
  unchanged: integer('Documents that the collection had with the same content'),
  superseded: integer('Rows whose id a later row of the request has'),
  failed: integer('Rows that are not stored'),
  mended: integer('Documents with unpaired surrogates, which were stored as U+FFFD'),
});
true satisfies Agrees<WriteSummary, Type.Static<typeof WriteSummarySchema>>;

/** Of a JSON body. An NDJSON body is answered by lines of `results`, and a last line `{summary, error?}`. */
export const WriteAnswer = Type.Object({
  results: Type.Array(DocumentResult),
  summary: WriteSummarySchema,
});

export const MetadataPatch = Type.Object(
  {
    metadata: Type.Unsafe<Readonly<Record<string, unknown>>>({
      ...METADATA,
      description: 'Values by name to set; null removes a name, others stay as they are',
    }),
  },
  CLOSED,
);

export const DeleteBody = Type.Object(
  {
    ids: Type.Optional(
      Type.Array(Type.Unsafe<string>(DOCUMENT_ID), {
        maxItems: 10_000,
        description: 'Documents to delete with their passages',
      }),
    ),
    filter: Type.Optional(
      Type.Unsafe<Filter>({ ...SEARCH_OPTIONS.filter, description: 'Delete all documents that match' }),
    ),
  },
  { ...CLOSED, minProperties: 1, maxProperties: 1 },
);

export const DeleteAnswer = Type.Object({ deleted: integer('Documents that the collection had') });

export const ExportQuery = Type.Object(
  {
    format: Type.Optional(
      Type.Unsafe<'ndjson'>({
        type: 'string',
        enum: ['ndjson'],
        default: 'ndjson',
        description: 'One document per line, as it can be added again',
      }),
    ),
  },
  CLOSED,
);
