import { LRUCache } from 'lru-cache';
import { WinnowError } from '../../errors.ts';
import type { FieldValues } from '../../indexer/segment/filter-columns.ts';
import type { StoredRecord } from '../../indexer/store/records.ts';
import type { FoundDoc, FoundQuery, FoundSegment } from '../../query/retrieve/retriever.ts';
import { type ClusterSource, hashOf, impactsOf, recordOf, vectorOf } from './cluster-document.ts';
import type { ClusterIndex } from './cluster-index.ts';
import type { RankedHit } from './rankings.ts';

/** A ranked document whose stored fields are here. */
export interface FetchedDoc extends FoundDoc {
  /** By number of a declared field that was asked for. */
  readonly values: readonly FieldValues[];
}

export interface FetchedDocs {
  /** In the order of the hits, without those that were deleted since they were found. */
  readonly docs: readonly FetchedDoc[];
  readonly generation: FoundQuery['generation'];
}

/** Texts whose numbers are remembered. */
const NUMBERED_TEXTS = 65_536;

/** Reads stored fields, and shows them as the steps after retrieval read those of a segment. */
export class DocumentFetcher {
  private readonly index: ClusterIndex;
  /** Rerankers keep the tokens of texts by number: one for each version of each document. */
  private readonly numbers = new LRUCache<string, number>({ max: NUMBERED_TEXTS });
  private nextNumber = 0;

  constructor(index: ClusterIndex) {
    this.index = index;
  }

  /** @throws WinnowError WINNOW_CLUSTER, the signal's reason */
  async fetch(hits: readonly RankedHit[], signal?: AbortSignal): Promise<FetchedDocs> {
    const missing = hits.filter(({ source }) => source === undefined);
    const read =
      missing.length > 0 ? await this.index.fetch(missing, 'all', signal) : new Map<string, ClusterSource>();
    const present = hits.flatMap((hit) => {
      const source = hit.source ?? read.get(hit.key);
      return source ? [{ hit, source }] : [];
    });
    const { segment, generation } = this.segment(present.map(({ hit, source }) => ({ id: hit.id, source })));
    const docs = present.map(
      ({ hit: { id, score, values } }, docId): FetchedDoc => ({
        id,
        score,
        values,
        docId,
        view: { segment },
      }),
    );
    return { docs, generation };
  }

  /** Documents in the form of a segment: docId is the position in the list. */
  segment(documents: readonly { readonly id: string; readonly source: ClusterSource }[]): {
    readonly segment: FoundSegment;
    readonly generation: FoundQuery['generation'];
  } {
    const docKeys = Uint32Array.from(documents, ({ id, source }) => this.numberOf(id, source));
    const records = new Map<number, StoredRecord>();
    documents.forEach(({ source }, docId) => {
      records.set(docKeys[docId]!, readRecord(source, this.index.path));
    });
    return {
      segment: {
        docKeys,
        id: (docId) => documents[docId]!.id,
        vector: (docId) => impactsOf(documents[docId]!.source),
        denseVectors: { vector: (docId) => vectorOf(documents[docId]!.source) },
      },
      generation: { document: (docKey) => records.get(docKey) },
    };
  }

  private numberOf(id: string, source: ClusterSource): number {
    const name = `${id}\u0000${hashOf(source)}`;
    let number = this.numbers.get(name);
    if (number === undefined) {
      number = this.nextNumber = (this.nextNumber + 1) >>> 0;
      this.numbers.set(name, number);
    }
    return number;
  }
}

function readRecord(source: ClusterSource, place: string): StoredRecord {
  try {
    return recordOf(source);
  } catch (cause) {
    throw new WinnowError('WINNOW_INDEX_CORRUPT', 'a document of the cluster has no stored fields', {
      place,
      hint: 'index the documents again',
      cause,
    });
  }
}
