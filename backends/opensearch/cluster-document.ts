import { createHash } from 'node:crypto';
import type { Metadata } from '../../corpus/types.ts';
import { storedId } from '../../indexer/format/stored-id.ts';
import { fieldValues } from '../../indexer/segment/filter-columns.ts';
import { quantizeInto } from '../../indexer/segment/impact.ts';
import type { StoredRecord } from '../../indexer/store/records.ts';
import type { DenseVector, ImpactVector, IndexableSource, IndexSettings } from '../../indexer/types.ts';
import { phraseWords } from '../../query/text/english-analyzer.ts';
import { FIELDS, filterFieldName, type StoredForms, termIdOf, termName } from './mapping.ts';

/** `_source` of a document, by the names of {@link FIELDS} and `f0`, `f1` and so on for declared fields. */
export type ClusterSource = Readonly<Record<string, unknown>>;

export interface ClusterDocument {
  /** `_id` of the cluster. */
  readonly key: string;
  readonly routing: string;
  readonly source: ClusterSource;
}

/** What hits are made of; words and phrases are only for searching. */
export const HIT_FIELDS = [
  FIELDS.source,
  FIELDS.passage,
  FIELDS.hash,
  FIELDS.title,
  FIELDS.text,
  FIELDS.metadata,
  FIELDS.sparse,
  FIELDS.vector,
  FIELDS.vectorScale,
];

/** `_id` of a document: ids of the cluster have at most 512 bytes, so that a stored id might be too long for one. */
export const keyOf = (stored: string): string => createHash('sha256').update(stored).digest('base64url');

/** The documents of a source as the cluster holds them. */
export function clusterDocuments(
  { id, contentHash, documents }: IndexableSource,
  settings: IndexSettings,
  forms: StoredForms,
): ClusterDocument[] {
  return documents.map(({ document, vector, dense, words, subwordIds }, i): ClusterDocument => {
    const { passage, title, text, metadata } = document;
    const sid = storedId(id, passage);
    const { termIds, impacts } = quantized(vector, settings.impactScale);
    const textIds = new Set(subwordIds);
    const inText = [...termIds].filter((termId) => textIds.has(termId)).map(termName);
    return {
      key: keyOf(sid),
      routing: id,
      source: {
        [FIELDS.storedId]: sid,
        [FIELDS.source]: id,
        ...(passage === undefined ? {} : { [FIELDS.passage]: passage }),
        ...(i === 0 ? { [FIELDS.lead]: true } : {}),
        [FIELDS.hash]: contentHash,
        [FIELDS.parts]: documents.length,
        ...(termIds.length > 0 ? { [FIELDS.sparse]: sparseField({ termIds, impacts }) } : {}),
        ...(inText.length > 0 ? { [FIELDS.inText]: inText.join(' ') } : {}),
        [FIELDS.words]: words.join(' '),
        [FIELDS.phrases]: [phraseWords(title).join(' '), phraseWords(text).join(' ')],
        [FIELDS.title]: title,
        [FIELDS.text]: text,
        ...metadataFields({ id, metadata }, settings),
        ...(forms.approximate && termIds.length > 0
          ? { [FIELDS.approximate]: Object.fromEntries(Array.from(termIds, (id, i) => [id, impacts[i]!])) }
          : {}),
        ...(dense && settings.vectorSize !== undefined ? vectorFields(dense, forms) : {}),
      },
    };
  });
}

/** Metadata as it is shown and as it is filtered on. @throws WinnowError WINNOW_BAD_ROW */
export function metadataFields(
  document: { readonly id: string; readonly metadata: Metadata },
  { filterFields }: IndexSettings,
): Record<string, unknown> {
  const fields = filterFields.map((field, i) => [filterFieldName(i), fieldValues(field, document)] as const);
  return {
    // As one text, the names and numbers of metadata read back as they were, whatever they are.
    [FIELDS.metadata]: JSON.stringify(document.metadata),
    ...Object.fromEntries(fields.filter(([, values]) => values.length > 0)),
  };
}

function quantized(
  vector: IndexableSource['documents'][number]['vector'],
  impactScale: number,
): ImpactVector {
  const termIds = new Uint16Array(vector.termIds.length);
  const impacts = new Uint8Array(vector.termIds.length);
  const end = quantizeInto(vector, impactScale, termIds, impacts);
  return { termIds: termIds.subarray(0, end), impacts: impacts.subarray(0, end) };
}

function sparseField({ termIds, impacts }: ImpactVector): Record<string, number> {
  return Object.fromEntries(Array.from(termIds, (termId, i) => [termName(termId), impacts[i]!]));
}

export const hashOf = (source: ClusterSource): string => String(source[FIELDS.hash]);

/** The stored fields of a document. */
export function recordOf(source: ClusterSource): StoredRecord {
  const passage = source[FIELDS.passage] as number | undefined;
  return {
    id: source[FIELDS.source] as string,
    ...(passage === undefined ? {} : { passage }),
    title: source[FIELDS.title] as string,
    text: source[FIELDS.text] as string,
    metadata: JSON.parse(source[FIELDS.metadata] as string) as Metadata,
  };
}

/** The stored weights of a document. */
export function impactsOf(source: ClusterSource): ImpactVector {
  const weights = Object.entries((source[FIELDS.sparse] ?? {}) as Record<string, number>)
    .map(([name, impact]) => [termIdOf(name), impact] as const)
    .sort(([a], [b]) => a - b);
  return {
    termIds: Uint16Array.from(weights, ([termId]) => termId),
    impacts: Uint8Array.from(weights, ([, impact]) => impact),
  };
}

function vectorFields(dense: DenseVector, { vector }: StoredForms): Record<string, unknown> {
  if (vector === 'binary') return { [FIELDS.vector]: packVector(dense) };
  return { [FIELDS.vector]: Array.from(dense.values), [FIELDS.vectorScale]: dense.scale };
}

function packVector({ values, scale }: DenseVector): string {
  const bytes = Buffer.alloc(4 + values.length);
  bytes.writeFloatLE(scale, 0);
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.length), 4);
  return bytes.toString('base64');
}

/** The vector of a document; undefined where it has none. */
export function vectorOf(source: ClusterSource): DenseVector | undefined {
  const stored = source[FIELDS.vector];
  if (Array.isArray(stored))
    return { scale: Math.fround(source[FIELDS.vectorScale] as number), values: Int8Array.from(stored) };
  if (typeof stored !== 'string') return undefined;
  const bytes = Buffer.from(stored, 'base64');
  return { scale: bytes.readFloatLE(0), values: new Int8Array(bytes.subarray(4)) };
}
