import type { Metadata } from '../../corpus/types.ts';
import type { FilterField, IndexableSource, IndexSettings } from '../../indexer/types.ts';

const FILTER_FIELDS: readonly FilterField[] = [
  { name: 'year', type: 'number' },
  { name: 'lang', type: 'string' },
  { name: 'open', type: 'boolean' },
  { name: 'seen', type: 'date' },
];

export const SETTINGS: IndexSettings = {
  modelName: 'test-model',
  modelHash: '0123456789abcdef',
  impactScale: 3 / 255,
  filterFields: FILTER_FIELDS,
};

/** A source of one document with the given term weights (in impact units) and words. */
export function source(
  id: string,
  impacts: ReadonlyMap<number, number>,
  {
    words = [],
    metadata = {},
    text = words.join(' '),
    subwordIds,
  }: { words?: readonly string[]; metadata?: Metadata; text?: string; subwordIds?: readonly number[] } = {},
): IndexableSource {
  const terms = [...impacts].sort(([a], [b]) => a - b);
  return {
    id,
    contentHash: `hash of ${id}`,
    documents: [
      {
        document: { id, title: '', text, metadata },
        vector: {
          termIds: Uint16Array.from(terms, ([termId]) => termId),
          weights: Float32Array.from(terms, ([, impact]) => (impact * 3) / 255),
        },
        words,
        ...(subwordIds ? { subwordIds } : {}),
      },
    ],
  };
}
