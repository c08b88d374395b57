import { Type } from 'typebox';
import type {
  CollectionInfo as Info,
  CollectionSettings as Settings,
  CollectionStats as Stats,
} from '../../../app/service/types.ts';
import { FilterType } from '../../../indexer/format/format.ts';
import type { Agrees } from '../../../query/request.ts';
import { MODES, STAGES } from '../../../query/request.ts';
import { CLOSED, CollectionName, Failure, integer, text } from './common.ts';

const FieldTypes = Type.Unsafe<keyof typeof FilterType>({
  type: 'string',
  enum: Object.keys(FilterType),
  description: 'Type of its values',
});

/** A metadata field that filters, sorting and facets may name. */
const Field = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 256, description: 'Name in the metadata of documents' }),
    type: FieldTypes,
  },
  CLOSED,
);

const Mode = Type.Unsafe<(typeof MODES)[number]>({
  type: 'string',
  enum: MODES,
  description: 'Mode of searches that name none',
});

/** What can be changed later. */
const SETTINGS = {
  description: Type.Optional(Type.String({ maxLength: 1000, description: 'For people' })),
  defaultMode: Type.Optional(Mode),
};

const SETTINGS_SCHEMA = Type.Object(SETTINGS, CLOSED);
true satisfies Agrees<Settings, Type.Static<typeof SETTINGS_SCHEMA>>;
export const CollectionSettings = Type.Unsafe<Settings>(SETTINGS_SCHEMA);

const ENGINE = {
  kind: Type.Unsafe<'opensearch'>({ type: 'string', enum: ['opensearch'], description: 'What it is' }),
  index: Type.String({
    pattern: '^[a-z0-9][a-z0-9._-]{0,199}$',
    description: 'Name of an index of the cluster or an alias of one; made where there is none',
  }),
};

export const CreateCollection = Type.Object(
  {
    name: CollectionName('Name of the new collection'),
    fields: Type.Optional(
      Type.Array(Field, {
        maxItems: 256,
        default: [],
        description:
          'Metadata fields that filters, sorting and facets may name; they cannot be changed later',
      }),
    ),
    model: Type.Optional(
      Type.Union([Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$' }), Type.Null()], {
        description:
          "Name of the model that encodes the documents, default the server's; null: none, for words alone (bm25)",
      }),
    ),
    vectors: Type.Optional(
      Type.Boolean({
        default: true,
        description: 'Keep vectors of documents for reranking, where the model makes them',
      }),
    ),
    engine: Type.Optional(
      Type.Object(
        {
          ...ENGINE,
          shards: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 1024, description: 'Primary shards, default 1' }),
          ),
          replicas: Type.Optional(
            Type.Integer({ minimum: 0, maximum: 16, description: 'Copies of each, default 1' }),
          ),
        },
        {
          ...CLOSED,
          description:
            'What holds the documents, default a file of the data folder. A cluster is the one that the server was started with (--url)',
        },
      ),
    ),
    ...SETTINGS,
  },
  CLOSED,
);

const INFO = Type.Object({
  name: text('Its name'),
  documents: integer('Documents; passages of long ones count one each'),
  sources: integer('Documents as they were added'),
  bytes: integer('Size of its index file'),
  model: Type.Union([Type.String(), Type.Null()], { description: 'Name of its model; null: words alone' }),
  vectors: Type.Boolean({ description: 'Whether it keeps vectors of documents' }),
  fields: Type.Array(Field, { description: 'Metadata fields that filters, sorting and facets may name' }),
  settings: CollectionSettings,
  createdAt: text('ISO 8601, UTC'),
  aliases: Type.Array(Type.String(), { description: 'Other names that it answers to' }),
  engine: Type.Optional(
    Type.Object(ENGINE, { description: 'What holds the documents; absent: a file of the data folder' }),
  ),
  error: Type.Optional(Failure),
});
true satisfies Agrees<Info, Type.Static<typeof INFO>>;
export const CollectionInfo = Type.Unsafe<Info>(INFO);

export const CollectionList = Type.Object({ collections: Type.Array(CollectionInfo) });

const STATS = Type.Object({
  name: text('Its name'),
  documents: integer('Documents; passages of long ones count one each'),
  sources: integer('Documents as they were added'),
  deleted: integer('Deleted documents whose space a merge will free'),
  generation: integer('Number of the newest commit'),
  segments: integer('Segments of the index'),
  merging: integer('Segments that a merge is replacing'),
  postings: integer('Weights of all documents'),
  withVectors: integer('Documents that have a vector'),
  bytes: integer('Size of the index file'),
  parts: Type.Record(Type.String(), Type.Integer(), { description: 'Bytes by part of the index' }),
  stages: Type.Array(Type.Unsafe<(typeof STAGES)[number]>({ type: 'string', enum: STAGES }), {
    description: 'Stages of reranking that searches may ask for',
  }),
  modes: Type.Array(Type.Unsafe<(typeof MODES)[number]>({ type: 'string', enum: MODES }), {
    description: 'Modes that find something',
  }),
});
true satisfies Agrees<Stats, Type.Static<typeof STATS>>;
export const CollectionStats = Type.Unsafe<Stats>(STATS);

export const SwapRequest = Type.Object({ with: CollectionName('The other collection') }, CLOSED);

export const AliasPath = Type.Object({ alias: CollectionName('Name of the alias') });
export const AliasTarget = Type.Object(
  { collection: CollectionName('Collection that it stands for') },
  CLOSED,
);
export const Alias = Type.Object({
  alias: text('Name of the alias'),
  collection: text('Collection that it stands for'),
});
export const AliasList = Type.Object({ aliases: Type.Array(Alias) });
