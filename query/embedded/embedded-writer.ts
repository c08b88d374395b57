import type { MetadataValue } from '../../corpus/types.ts';
import type { Model } from '../../encoder/model.ts';
import { WinnowError } from '../../errors.ts';
import { isDamage } from '../../indexer/format/errors.ts';
import { type DocumentRef, storedId } from '../../indexer/format/stored-id.ts';
import type { IndexStore } from '../../indexer/index-store.ts';
import type { StoredRecord } from '../../indexer/store/records.ts';
import type { StorableSource } from '../../indexer/store/storable.ts';
import type { IndexableDocument, IndexableSource } from '../../indexer/types.ts';
import type { Awaitable, WriteBatch, WriteReport } from '../backend.ts';
import { KnownScripts } from '../text/known-scripts.ts';
import { changedHash, mergedMetadata, prepareBatch } from './source-batch.ts';
import { indexableDocument, type KnownVector, type SourceEncoder, searchableText } from './source-encoder.ts';

export const NOTHING_WRITTEN: WriteReport = {
  added: 0,
  replaced: 0,
  duplicates: 0,
  mended: 0,
  unknownScript: 0,
  deleted: 0,
};

/** The writes of an embedded backend: what has to be encoded, and what can be kept. */
export class EmbeddedWriter {
  private readonly store: IndexStore;
  private readonly model: Model;
  private readonly encoder: SourceEncoder;
  private readonly scripts: KnownScripts;
  private readonly background: boolean;

  /** @param background commits leave the calling thread to searches */
  constructor(store: IndexStore, model: Model, encoder: SourceEncoder, background: boolean) {
    this.store = store;
    this.background = background;
    this.model = model;
    this.encoder = encoder;
    this.scripts = new KnownScripts(model.query.tokenizer);
  }

  /**
   * @param requireWritable called again when the documents are encoded
   * @throws WinnowError of {@link WriteBatch}; nothing was changed
   */
  async upsert(
    upserts: NonNullable<WriteBatch['upserts']>,
    onRejected: WriteBatch['onRejected'],
    requireWritable: () => void,
  ): Promise<WriteReport> {
    // Only the last source with an id is encoded.
    const { latest, counts } = prepareBatch(
      upserts,
      (source) => this.store.prepare(source),
      onRejected,
      this.scripts,
    );
    const ready = await this.encoder.encode(latest, (source) => this.storedVectors(source));
    requireWritable();
    const { added, replaced } = await this.target.upsert(ready);
    return { added, replaced, ...counts, deleted: 0 };
  }

  /** @returns how many of the documents that `refs` name were found */
  async delete(refs: readonly DocumentRef[]): Promise<number> {
    return this.target.delete(refs);
  }

  /**
   * Changes metadata of a source and keeps its texts with their weights, words and vectors.
   *
   * @param changes values by name; null removes a name
   * @returns false when the index does not have the source
   * @throws WinnowError WINNOW_BAD_ROW for values that cannot be stored, WINNOW_STORAGE, WINNOW_INDEX_READ_ONLY
   */
  updateMetadata(id: string, changes: Readonly<Record<string, MetadataValue>>): Awaitable<boolean> {
    return this.store.background.isBusy ? this.updateLater(id, changes) : this.updateNow(id, changes);
  }

  /** What is read and written again must not change in between. */
  private async updateLater(id: string, changes: Readonly<Record<string, MetadataValue>>): Promise<boolean> {
    while (this.store.background.isBusy) await this.store.background.settled();
    return this.updateNow(id, changes);
  }

  private updateNow(id: string, changes: Readonly<Record<string, MetadataValue>>): boolean {
    const records = this.store.view().documentsOf({ id });
    const [first] = records;
    if (!first) return false;
    const source: IndexableSource = {
      id,
      contentHash: changedHash(),
      documents: records.map((record) => this.changed(record, changes)),
    };
    this.store.upsert([source]);
    return true;
  }

  private get target(): Pick<IndexStore['background'], 'upsert' | 'delete'> | IndexStore {
    return this.background ? this.store.background : this.store;
  }

  private changed(record: StoredRecord, changes: Readonly<Record<string, MetadataValue>>): IndexableDocument {
    const vector = this.vectorOf(record);
    if (!vector)
      throw new WinnowError('WINNOW_INDEX_CORRUPT', `document "${record.id}" is stored and in no segment`, {
        place: this.store.path,
        hint: `drop what is damaged with: winnow doctor --repair --index ${this.store.path}`,
      });
    const document = { ...record, metadata: mergedMetadata(record.metadata, changes) };
    return indexableDocument(document, vector, this.model);
  }

  /**
   * Vectors of those documents of a source that are stored with the same title and text: only what was changed is encoded again, and
   * nothing where metadata changed alone.
   */
  private storedVectors({ id, documents }: StorableSource): (KnownVector | undefined)[] {
    if (this.encoder.lexicalOnly) return [];
    try {
      const records = this.store.view().documentsOf({ id });
      if (records.length === 0) return [];
      const byText = new Map(records.map((record) => [searchableText(record), record]));
      const makesVectors = this.store.settings.vectorSize !== undefined;
      return documents.map((document) => {
        const record = byText.get(searchableText(document));
        const vector = record && this.vectorOf(record);
        return vector && (vector.dense || !makesVectors) ? vector : undefined;
      });
    } catch (error) {
      if (!isDamage(error)) throw error;
      return []; // writing a source again mends it
    }
  }

  /** What the segments hold of a stored document; undefined where they do not have it. */
  private vectorOf({ id, passage }: StoredRecord): KnownVector | undefined {
    const found = this.store.view().locate(storedId(id, passage));
    if (!found) return undefined;
    const { segment } = found.view;
    const { termIds, impacts } = segment.vector(found.docId);
    const dense = segment.denseVectors?.vector(found.docId);
    const { impactScale } = this.store.settings;
    // Copies: the segment's arrays are views of an index that is about to change.
    return {
      termIds: termIds.slice(),
      weights: Float32Array.from(impacts, (impact) => impact * impactScale),
      ...(dense ? { dense: { ...dense, values: dense.values.slice() } } : {}),
    };
  }
}
