import { randomUUID } from 'node:crypto';
import type { Metadata, MetadataValue } from '../../corpus/types.ts';
import { WinnowError } from '../../errors.ts';
import type { Checked, StorableSource } from '../../indexer/store/storable.ts';
import type { SourceDocument } from '../../indexer/types.ts';
import type { WriteBatch, WriteReport } from '../backend.ts';
import type { KnownScripts } from '../text/known-scripts.ts';
import { searchableText } from './source-encoder.ts';

/** The sources of a batch that can be stored: of those with the same id the last one. */
export interface PreparedBatch {
  readonly latest: readonly StorableSource[];
  /** What a report says of the batch before it is written. */
  readonly counts: Pick<WriteReport, 'duplicates' | 'mended' | 'unknownScript'>;
}

/**
 * Checks the sources of a batch before time is spent on encoding them.
 *
 * @param prepare checks one source
 * @param onRejected takes what cannot be stored; without it the first one is thrown
 * @throws WinnowError WINNOW_BAD_ROW
 */
export function prepareBatch(
  upserts: NonNullable<WriteBatch['upserts']>,
  prepare: (source: SourceDocument) => Checked<StorableSource>,
  onRejected: WriteBatch['onRejected'],
  scripts: KnownScripts,
): PreparedBatch {
  const prepared = upserts.flatMap((source, position) => {
    try {
      return [prepare(source)];
    } catch (error) {
      if (!onRejected || !(error instanceof WinnowError)) throw error;
      onRejected(source, error, position);
      return [];
    }
  });
  const latest = [...new Map(prepared.map(({ value }) => [value.id, value])).values()];
  return {
    latest,
    counts: {
      duplicates: prepared.length - latest.length,
      mended: prepared.filter(({ mended }) => mended).length,
      unknownScript: latest
        .flatMap(({ documents }) => documents)
        .filter((document) => scripts.isUnknown(searchableText(document))).length,
    },
  };
}

/** A content hash that no document has: when the whole source is indexed again, it replaces the one with changed metadata. */
export const changedHash = (): string => `changed-${randomUUID()}`;

/** @param changes values by name; null removes a name */
export function mergedMetadata(
  metadata: Metadata,
  changes: Readonly<Record<string, MetadataValue>>,
): Metadata {
  const entries = new Map(Object.entries(metadata));
  for (const [name, value] of Object.entries(changes))
    if (value === null) entries.delete(name);
    else entries.set(name, value);
  return Object.fromEntries(entries);
}
