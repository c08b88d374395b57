import { randomUUID } from 'node:crypto';
import type { Model } from '../../encoder/model.ts';
import type { IndexableDocument, IndexableSource } from '../../indexer/types.ts';
import { indexableDocument } from '../../query/embedded/source-encoder.ts';
import { type ClusterSource, HIT_FIELDS, hashOf, impactsOf, recordOf, vectorOf } from './cluster-document.ts';
import type { ClusterIndex } from './cluster-index.ts';
import { FIELDS } from './mapping.ts';

/** The sources of an index with their weights, as of the call. Memory: one page of documents. */
export async function* encodedSources(index: ClusterIndex, model: Model): AsyncGenerator<IndexableSource> {
  const hits = index.walk({ query: { match_all: {} }, _source: [...HIT_FIELDS, FIELDS.parts] });
  let parts: ClusterSource[] = [];
  for await (const { _source: source = {} } of hits) {
    const [first] = parts;
    // The walk is in the order of stored ids: documents of one source follow one another.
    if (first && first[FIELDS.source] !== source[FIELDS.source]) {
      yield sourceOf(parts, index, model);
      parts = [];
    }
    parts.push(source);
  }
  if (parts.length > 0) yield sourceOf(parts, index, model);
}

function sourceOf(parts: readonly ClusterSource[], index: ClusterIndex, model: Model): IndexableSource {
  const [first] = parts;
  const isWhole =
    parts.length === first![FIELDS.parts] && parts.every((part) => hashOf(part) === hashOf(first!));
  const { impactScale } = index.settings;
  const documents = parts.map((part): IndexableDocument => {
    const { termIds, impacts } = impactsOf(part);
    const weights = Float32Array.from(impacts, (impact) => impact * impactScale);
    const dense = vectorOf(part);
    return indexableDocument(recordOf(part), { termIds, weights, ...(dense ? { dense } : {}) }, model);
  });
  return {
    id: first![FIELDS.source] as string,
    contentHash: isWhole ? hashOf(first!) : `partial-${randomUUID()}`,
    documents,
  };
}
