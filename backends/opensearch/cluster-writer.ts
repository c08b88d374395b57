import type { MetadataValue } from '../../corpus/types.ts';
import type { Model } from '../../encoder/model.ts';
import { WinnowError } from '../../errors.ts';
import type { PassageRef } from '../../indexer/format/stored-id.ts';
import { fieldValues } from '../../indexer/segment/filter-columns.ts';
import { type Checked, type StorableSource, storableSource } from '../../indexer/store/storable.ts';
import type { IndexableSource, SourceDocument } from '../../indexer/types.ts';
import type { WriteBatch, WriteReport } from '../../query/backend.ts';
import { changedHash, mergedMetadata, prepareBatch } from '../../query/embedded/source-batch.ts';
import type { SourceEncoder } from '../../query/embedded/source-encoder.ts';
import { KnownScripts } from '../../query/text/known-scripts.ts';
import type { BulkOperation } from './bulk.ts';
import { clusterDocuments, metadataFields, recordOf } from './cluster-document.ts';
import type { ClusterIndex } from './cluster-index.ts';
import { FIELDS } from './mapping.ts';
import { type StoredPart, storedParts } from './stored-parts.ts';

/** The writes of an index of a cluster. */
export class ClusterWriter {
  private readonly index: ClusterIndex;
  private readonly encoder: SourceEncoder;
  private readonly scripts: KnownScripts;

  constructor(index: ClusterIndex, model: Model, encoder: SourceEncoder) {
    this.index = index;
    this.encoder = encoder;
    this.scripts = new KnownScripts(model.query.tokenizer);
  }

  /**
   * Encodes and stores sources. A cluster has no transactions: when it rejects after the documents were encoded, some sources may be
   * stored. One that is stored in part has no content hash, so that the next run writes it again.
   *
   * @param requireWritable called again when the documents are encoded
   * @throws WinnowError WINNOW_BAD_ROW before anything is written, or for a source that the cluster refused when the others are stored;
   *   `onRejected` takes both; WINNOW_CLUSTER
   */
  async upsert(
    upserts: NonNullable<WriteBatch['upserts']>,
    onRejected: WriteBatch['onRejected'],
    requireWritable: () => void,
  ): Promise<Omit<WriteReport, 'deleted'>> {
    const { latest, counts: batch } = prepareBatch(
      upserts,
      (source) => this.prepare(source),
      onRejected,
      this.scripts,
    );
    const ready = await this.encoder.encode(latest);
    requireWritable();
    const { refused, ...counts } = await this.put(ready);
    for (const [position, source] of upserts.entries()) {
      const reason = refused.get(source.id);
      if (reason === undefined) continue;
      const error = refusedDocument(source.id, reason);
      if (!onRejected) throw error;
      onRejected(source, error, position);
    }
    return { ...counts, ...batch };
  }

  /**
   * Stores sources that are encoded already; of those with the same id the old documents go.
   *
   * @returns reasons by id of sources of which the cluster refused a document; the others are stored
   */
  async put(sources: readonly IndexableSource[]): Promise<{
    readonly added: number;
    readonly replaced: number;
    readonly refused: ReadonlyMap<string, string>;
  }> {
    if (sources.length === 0) return { added: 0, replaced: 0, refused: new Map() };
    const before = await storedParts(
      this.index,
      sources.map(({ id }) => id),
    );
    const { settings, forms } = this.index;
    const documents = sources.flatMap((source) => clusterDocuments(source, settings, forms));
    const kept = new Set(documents.map(({ key }) => key));
    const left = [...before.values()].flat().filter(({ key }) => !kept.has(key));
    // Old passages go last: until then they show that the source is not whole, should this process end here.
    const keys = await this.index.bulk([...documents.map((put) => ({ put })), ...left.map(removal)]);
    await this.index.refresh();
    const refused = new Map(
      documents.flatMap(({ key, routing }) => (keys.has(key) ? [[routing, keys.get(key)!]] : [])),
    );
    const replaced = [...before.keys()].filter((id) => !refused.has(id)).length;
    return { added: sources.length - refused.size - replaced, replaced, refused };
  }

  /** @returns how many of the documents and passages the index had */
  async delete(refs: readonly PassageRef[]): Promise<number> {
    const before = await storedParts(
      this.index,
      refs.map(({ id }) => id),
    );
    const removed = new Map<string, StoredPart>();
    let found = 0;
    for (const { id, passage } of refs) {
      const parts = (before.get(id) ?? []).filter(
        (part) => (passage === undefined || part.ref.passage === passage) && !removed.has(part.key),
      );
      if (parts.length > 0) found++;
      for (const part of parts) removed.set(part.key, part);
    }
    if (found === 0) return 0;
    await this.index.bulkAll([...[...removed.values()].map(removal), ...newLeads(before, removed)]);
    await this.index.refresh();
    return found;
  }

  /** @returns false when the index does not have the source */
  async updateMetadata(id: string, changes: Readonly<Record<string, MetadataValue>>): Promise<boolean> {
    const parts = (await storedParts(this.index, [id])).get(id) ?? [];
    const stored = await this.index.fetch(parts, [
      FIELDS.source,
      FIELDS.passage,
      FIELDS.title,
      FIELDS.text,
      FIELDS.metadata,
    ]);
    if (stored.size === 0) return false;
    const hash = changedHash();
    const documents = parts.flatMap((part) => {
      const source = stored.get(part.key);
      return source ? [{ part, record: recordOf(source) }] : [];
    });
    const changed = documents.map(({ part, record }): BulkOperation => {
      const metadata = mergedMetadata(record.metadata, changes);
      const { value } = storableSource({ id, contentHash: hash, documents: [{ text: '', metadata }] });
      const checked = { id, metadata: value.documents[0]!.metadata };
      const fields = {
        ...this.noFields(),
        ...metadataFields(checked, this.index.settings),
        [FIELDS.hash]: hash,
      };
      return { change: { key: part.key, routing: id, fields } };
    });
    await this.index.bulkAll(changed);
    await this.index.refresh();
    return true;
  }

  /** null for all declared fields: an update keeps what it does not name. */
  private noFields(): Record<string, null> {
    return Object.fromEntries(this.index.settings.filterFields.map((_, i) => [`f${i}`, null]));
  }

  private prepare(source: SourceDocument): Checked<StorableSource> {
    const checked = storableSource(source);
    for (const document of checked.value.documents)
      for (const field of this.index.settings.filterFields) fieldValues(field, document);
    return checked;
  }
}

/** A document that the cluster will not take. */
export const refusedDocument = (id: string, reason: string): WinnowError =>
  new WinnowError('WINNOW_BAD_ROW', `the cluster refused it: ${reason}`, {
    place: `document "${id}"`,
    hint: 'change what it names, and index the document again',
  });

const removal = ({ key, ref }: StoredPart): BulkOperation => ({ remove: { key, routing: ref.id } });

/** Where the document that stands for its source is removed and others of the source stay, the first of those stands for it. */
function newLeads(
  before: ReadonlyMap<string, readonly StoredPart[]>,
  removed: ReadonlyMap<string, StoredPart>,
): BulkOperation[] {
  return [...before.values()].flatMap((parts): BulkOperation[] => {
    const rest = parts.filter(({ key }) => !removed.has(key));
    const [first] = rest;
    if (!first || rest.some(({ isLead }) => isLead)) return [];
    return [{ change: { key: first.key, routing: first.ref.id, fields: { [FIELDS.lead]: true } } }];
  });
}
