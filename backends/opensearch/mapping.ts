import { WinnowError } from '../../errors.ts';
import type { FilterField, IndexSettings } from '../../indexer/types.ts';
import { BM25_B, BM25_K1 } from '../../query/retrieve/bm25.ts';

/*
 * The mapping of a Winnow index. Everything that the index holds is also in `_source`, so that `_reindex`, `_update` and snapshots of
 * the cluster work as with any other index.
 */

/** Changes when an index of an older one cannot be read. */
const MAPPING_VERSION = 1;

/** Names of the fields of a document. Each passage is a document of its own. */
export const FIELDS = {
  /** Stored id: sorts the passages of a source in their order, and breaks ties of scores. */
  storedId: 'sid',
  /** Id of the source; also the routing, so that one shard holds all passages of a source. */
  source: 'source',
  /** Ordinal of a passage; absent for a whole document. */
  passage: 'passage',
  /** true for one document of each source. */
  lead: 'lead',
  /** Content hash of the source. */
  hash: 'hash',
  /** Number of documents of the source when it was written. */
  parts: 'parts',
  /** Impacts by `t` and termId. */
  sparse: 'sparse',
  /** Those of them that are tokens of the text. */
  inText: 'in_text',
  /** Analysed words without stop words. */
  words: 'words',
  /** Analysed words of title and of text with stop words, for phrases. */
  phrases: 'phrases',
  title: 'title',
  text: 'text',
  /** Metadata as JSON. */
  metadata: 'metadata',
  /** Vector for reranking: i8 numbers, in binary after their f32 scale. */
  vector: 'vector',
  /** f32 scale of the numbers of a `knn_vector`. */
  vectorScale: 'vector_scale',
  /** Impacts by termId, where documents are also found approximately. */
  approximate: 'approximate',
} as const;

/** Name of a declared field, by its number: names of fields may hold anything, names in a mapping may not. */
export const filterFieldName = (index: number): string => `f${index}`;

/** Name of a token's weight. */
export const termName = (termId: number): string => `t${termId}`;
export const termIdOf = (name: string): number => Number(name.slice(1));

/** What is stored beside what every server can store. Fixed when the index is made. */
export interface StoredForms {
  /** Type of the field of the vector for reranking. */
  readonly vector: 'binary' | 'knn_vector';
  /** Whether weights are also in a field of type `sparse_vector`. */
  readonly approximate: boolean;
}

/** What every server can store. */
export const PLAIN_FORMS: StoredForms = { vector: 'binary', approximate: false };

/** Clauses of one query that a cluster allows unless it is configured otherwise (`indices.query.bool.max_clause_count`). */
export const MAX_CLAUSES = 1024;
/** Documents that one request may rank. */
export const MAX_RESULT_WINDOW = 50_000;
/** Documents of a shard that one request may rescore. */
export const MAX_RESCORE_WINDOW = 10_000;

export interface ShardOptions {
  /** Primary shards, fixed at creation. Default 1. */
  readonly shards?: number;
  /** Copies of each shard on other nodes. Default 1. */
  readonly replicas?: number;
  /**
   * Store weights in a field of type `sparse_vector`, too: segments of a million documents are then searched approximately (Seismic),
   * and what is found is scored exactly. Needs OpenSearch 3.3 with its plugin neural-search. Default false.
   */
  readonly approximate?: boolean;
}

/** The body that creates an index. */
export function indexBody(
  settings: IndexSettings,
  { shards = 1, replicas = 1 }: Pick<ShardOptions, 'shards' | 'replicas'>,
  forms: StoredForms = PLAIN_FORMS,
): object {
  const keyword = { type: 'keyword' };
  const stored = { type: 'text', index: false };
  const terms = { type: 'text', analyzer: 'winnow_words', norms: false };
  return {
    settings: {
      number_of_shards: shards,
      number_of_replicas: replicas,
      max_result_window: MAX_RESULT_WINDOW,
      max_rescore_window: MAX_RESCORE_WINDOW,
      ...(forms.approximate ? { sparse: true } : {}),
      analysis: {
        // Winnow analyses the words itself; the cluster only splits them at spaces.
        tokenizer: { winnow_words: { type: 'whitespace', max_token_length: 1024 } },
        analyzer: { winnow_words: { type: 'custom', tokenizer: 'winnow_words' } },
      },
      similarity: { winnow_bm25: { type: 'BM25', k1: BM25_K1, b: BM25_B } },
    },
    mappings: {
      dynamic: false,
      _meta: { winnow: { version: MAPPING_VERSION, settings, forms } },
      properties: {
        [FIELDS.storedId]: keyword,
        [FIELDS.source]: keyword,
        [FIELDS.passage]: { type: 'integer' },
        [FIELDS.lead]: { type: 'boolean' },
        [FIELDS.hash]: keyword,
        [FIELDS.parts]: { type: 'integer' },
        [FIELDS.sparse]: { type: 'rank_features' },
        [FIELDS.inText]: { ...terms, index_options: 'docs' },
        [FIELDS.words]: {
          type: 'text',
          analyzer: 'winnow_words',
          similarity: 'winnow_bm25',
          index_options: 'freqs',
        },
        [FIELDS.phrases]: { ...terms, index_options: 'positions' },
        [FIELDS.title]: stored,
        [FIELDS.text]: stored,
        [FIELDS.metadata]: { type: 'keyword', index: false, doc_values: false },
        ...vectorFields(settings, forms),
        ...(forms.approximate ? { [FIELDS.approximate]: APPROXIMATE } : {}),
        ...Object.fromEntries(
          settings.filterFields.map((field, i) => [filterFieldName(i), filterMapping(field)]),
        ),
      },
    },
  };
}

/** Impacts are 1..255 already, so that the field's own bytes lose nothing. */
const APPROXIMATE = {
  type: 'sparse_vector',
  method: {
    name: 'seismic',
    parameters: { quantization_ceiling_ingest: 255, quantization_ceiling_search: 32 },
  },
};

function vectorFields({ vectorSize }: IndexSettings, { vector }: StoredForms): object {
  if (vector === 'binary' || vectorSize === undefined) return { [FIELDS.vector]: { type: 'binary' } };
  return {
    // Without `index.knn` no graph is built: the vectors are for reranking, and for scripts of the cluster's users.
    [FIELDS.vector]: { type: 'knn_vector', dimension: vectorSize, data_type: 'byte' },
    [FIELDS.vectorScale]: { type: 'float', index: false, doc_values: false },
  };
}

/** Values are stored as `coerce` makes them: moments and booleans are numbers. */
const filterMapping = ({ name, type }: FilterField): object => ({
  type: type === 'string' ? 'keyword' : 'double',
  // Values of metadata are at most 50 characters long.
  meta: { field: [...name].slice(0, 12).join('') },
});

/**
 * What the mapping of an index says of itself.
 *
 * @throws WinnowError WINNOW_INDEX_VERSION, WINNOW_INDEX_MISMATCH for an index that Winnow did not make
 */
export function settingsOf(
  mappings: unknown,
  place: string,
): { readonly settings: IndexSettings; readonly forms: StoredForms } {
  const { _meta: meta } = mappings as {
    _meta?: { winnow?: { version: number; settings: IndexSettings; forms?: StoredForms } };
  };
  if (!meta?.winnow)
    throw new WinnowError('WINNOW_INDEX_MISMATCH', 'the index was not made by Winnow', {
      place,
      hint: 'name another index',
    });
  const { version, settings, forms = PLAIN_FORMS } = meta.winnow;
  if (version !== MAPPING_VERSION)
    throw new WinnowError(
      'WINNOW_INDEX_VERSION',
      `the mapping has version ${version}, this is for ${MAPPING_VERSION}`,
      {
        place,
        hint: 'index the documents again into a new index',
      },
    );
  return { settings, forms };
}
