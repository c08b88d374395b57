import { WinnowError } from '../../errors.ts';
import { isBitSet } from '../format/bitmap.ts';
import { isDamage } from '../format/errors.ts';
import { HEADER_KIND } from '../format/parts.ts';
import { type DocumentRef, parseStoredId, refOf } from '../format/stored-id.ts';
import { fieldValues } from '../segment/filter-columns.ts';
import { buildSegmentContent, type KeyedDocument } from '../segment/segment-content.ts';
import { buildSegment } from '../segment/segment-writer.ts';
import type { DenseVector, IndexableSource, SourceDocument, UpsertResult } from '../types.ts';
import type { IndexTransactions } from './index-transactions.ts';
import type { OpenIndex } from './open-index.ts';
import { getSource, putRecord, putSource, type SourceRecord } from './records.ts';
import { type Checked, type StorableSource, storableSource } from './storable.ts';
import type { Storage } from './storage.ts';

/**
 * The writing side of an open index. Every write is one transaction: when a call returns, all of it is on disk and the next view shows
 * it; when it throws, nothing was changed. Writes of other threads and processes wait for their turn (LMDB's write lock).
 */
export class IndexWriter {
  private readonly index: OpenIndex;
  private readonly storage: Storage;
  private readonly transactions: IndexTransactions;
  private readonly afterWrite: () => void;

  /** @param afterWrite called after every commit; must not throw, since the documents are on disk by then */
  constructor(index: OpenIndex, afterWrite: () => void) {
    this.index = index;
    this.storage = index.storage;
    this.transactions = index.transactions;
    this.afterWrite = afterWrite;
  }

  /**
   * Checks a source before time is spent on encoding it.
   *
   * @param mayLack see {@link storableSource}
   * @returns it in the form that is stored, and whether that took a change (see {@link UpsertResult.mended})
   * @throws WinnowError WINNOW_BAD_ROW
   */
  prepare(source: SourceDocument, mayLack = false): Checked<StorableSource> {
    const checked = storableSource(source, mayLack);
    for (const document of checked.value.documents)
      for (const field of this.index.reader.settings.filterFields) fieldValues(field, document);
    return checked;
  }

  /**
   * Adds sources, or replaces those with the same id; of several with one id the last one counts.
   *
   * @throws WinnowError WINNOW_BAD_ROW for what cannot be stored, WINNOW_STORAGE when the disk refuses, WINNOW_INDEX_READ_ONLY,
   *   WINNOW_INDEX_CLOSED
   */
  upsert(sources: readonly IndexableSource[]): UpsertResult {
    this.index.reader.requireOpen();
    const prepared = sources.map((source) => this.prepareIndexable(source));
    const mended = prepared.filter((source) => source.mended).length;
    const latest = [...new Map(prepared.map(({ value }) => [value.id, value])).values()];
    const duplicates = sources.length - latest.length;
    if (latest.length === 0) return { added: 0, replaced: 0, duplicates, mended };
    const replaced = this.transactions.commit((manifest, deletions) => {
      let replaced = 0;
      for (const { id } of latest) if (this.removeSource(id, deletions)) replaced++;
      const documents = this.putSources(latest, manifest.nextDocKey);
      const number = manifest.nextSegment;
      const content = buildSegmentContent(documents, manifest.settings);
      const header = buildSegment(content, (kind, bytes) => this.transactions.putPart(number, kind, bytes));
      this.transactions.putPart(number, HEADER_KIND, header(number));
      const next = {
        ...manifest,
        segments: [...manifest.segments, { number, numDocs: documents.length, numDeleted: 0 }],
        nextSegment: number + 1,
        nextDocKey: manifest.nextDocKey + documents.length,
      };
      return [next, replaced];
    });
    this.afterWrite();
    return { added: latest.length - replaced, replaced, duplicates, mended };
  }

  /**
   * Makes the index keep dense vectors. Documents that are there get theirs when their sources are indexed again.
   *
   * @param vectorSize numbers per vector
   * @throws WinnowError WINNOW_STORAGE, WINNOW_INDEX_READ_ONLY, WINNOW_INDEX_CLOSED
   */
  keepVectors(vectorSize: number): void {
    this.transactions.commit((manifest) => [
      { ...manifest, settings: { ...manifest.settings, vectorSize } },
      undefined,
    ]);
  }

  /**
   * Deletes sources, with all their passages, and single passages. A source that lost a passage has no content hash any more,
   * so that indexing it again restores the passage. Stored fields are not read, so damaged documents can be deleted, too.
   *
   * @returns how many of the documents that `refs` name were found
   * @throws WinnowError WINNOW_STORAGE, WINNOW_INDEX_CORRUPT, WINNOW_INDEX_READ_ONLY, WINNOW_INDEX_CLOSED
   */
  delete(refs: readonly DocumentRef[]): number {
    const found = this.transactions.commit((manifest, deletions) => {
      const removed = refs
        .map(refOf)
        .filter(({ id, passage }) =>
          passage === undefined
            ? this.removeSource(id, deletions)
            : this.removePassage(id, passage, deletions),
        );
      return [manifest, removed.length];
    });
    this.afterWrite();
    return found;
  }

  private prepareIndexable(source: IndexableSource): Checked<IndexableSource> {
    const documents = source.documents.map(({ document }) => document);
    for (const { dense } of source.documents) this.requireVectorSize(dense, source.id);
    const { value, mended } = this.prepare({ ...source, documents }, true);
    return {
      mended,
      value: {
        ...value,
        documents: source.documents.map((item, i) => ({ ...item, document: value.documents[i]! })),
      },
    };
  }

  private requireVectorSize(dense: DenseVector | undefined, id: string): void {
    const { vectorSize } = this.index.reader.settings;
    if (!dense || vectorSize === undefined) return;
    const { values, scale } = dense;
    if (values.length === vectorSize && scale > 0 && Number.isFinite(scale)) return;
    throw new WinnowError(
      'WINNOW_BAD_ROW',
      `the dense vector has ${values.length} numbers and scale ${scale}, the index keeps ${vectorSize} numbers`,
      { place: `document "${id}"`, hint: 'encode the document with the model of the index' },
    );
  }

  /** Inside a write transaction: stores fields and entries of sources. @returns their documents with the keys they got */
  private putSources(sources: readonly IndexableSource[], firstDocKey: number): KeyedDocument[] {
    const documents: KeyedDocument[] = [];
    let docKey = firstDocKey;
    for (const source of sources) {
      const keys: number[] = [];
      for (const item of source.documents) {
        this.transactions.reserve(putRecord(this.storage, docKey, item.document));
        documents.push({ docKey, item });
        keys.push(docKey++);
      }
      const isCut = source.documents[0]!.document.passage !== undefined;
      putSource(this.storage, source.id, {
        hash: source.contentHash,
        keys,
        passages: isCut ? source.documents.map(({ document }) => document.passage!) : undefined,
      });
    }
    return documents;
  }

  /** Inside a write transaction. @returns whether the source was there */
  private removeSource(id: string, deletions: Set<number>): boolean {
    const source = this.sourceInTransaction(id);
    if (!source) return false;
    for (const docKey of source.keys) this.removeDocument(docKey, deletions);
    this.storage.sources.remove(id);
    return true;
  }

  private removePassage(id: string, passage: number, deletions: Set<number>): boolean {
    const source = this.sourceInTransaction(id);
    const at = source?.passages?.indexOf(passage) ?? -1;
    if (!source?.passages || at < 0) return false;
    this.removeDocument(source.keys[at]!, deletions);
    const keys = source.keys.toSpliced(at, 1);
    if (keys.length === 0) this.storage.sources.remove(id);
    else putSource(this.storage, id, { hash: undefined, keys, passages: source.passages.toSpliced(at, 1) });
    return true;
  }

  private removeDocument(docKey: number, deletions: Set<number>): void {
    this.storage.documents.remove(docKey);
    deletions.add(docKey);
  }

  /** An entry that cannot be read is rebuilt from the segments, which hold ids and keys, too. */
  private sourceInTransaction(id: string): SourceRecord | undefined {
    try {
      return getSource(this.storage, id);
    } catch (error) {
      if (!isDamage(error)) throw error;
      return this.sourceFromSegments(id);
    }
  }

  private sourceFromSegments(id: string): SourceRecord {
    const documents = this.transactions.openSegments().flatMap(({ segment, ref }) => {
      const deleted = this.transactions.tombstonesOf(ref);
      return segment
        .docIdsOfSource(id)
        .filter((docId) => !isBitSet(deleted, docId))
        .map((docId) => ({ docKey: segment.docKeys[docId]!, ...parseStoredId(segment.id(docId)) }));
    });
    const isCut = documents.some(({ passage }) => passage !== undefined);
    return {
      hash: undefined,
      keys: documents.map(({ docKey }) => docKey),
      passages: isCut ? documents.map(({ passage }) => passage ?? -1) : undefined,
    };
  }
}
