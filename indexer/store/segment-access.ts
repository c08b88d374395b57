import type { Transaction } from 'lmdb';
import { verifyChecksum } from '../format/checksum.ts';
import { corrupt } from '../format/errors.ts';
import { HEADER_KIND, segmentKey } from '../format/parts.ts';
import { Segment } from '../segment/segment.ts';
import type { FilterField } from '../types.ts';
import { readPart, type Storage } from './storage.ts';
import { withStorageErrors } from './storage-errors.ts';

export interface SegmentAccess {
  /** A held read transaction; without one, the segment is read inside the current write transaction. */
  readonly transaction?: Transaction;
  /** Another version than this build's, for an upgrade. */
  readonly formatVersion?: number;
}

/** Opens a segment; its parts are read when first used. @throws WinnowError WINNOW_INDEX_CORRUPT */
export function openSegment(
  storage: Storage,
  number: number,
  filterFields: readonly FilterField[],
  { transaction, formatVersion }: SegmentAccess = {},
): Segment {
  const place = `${storage.path}, segment ${number}`;
  const read = (kind: number) =>
    withStorageErrors(place, () => readPart(storage, segmentKey(number, kind), transaction));
  const header = read(HEADER_KIND);
  if (!header) throw corrupt(place, 'the segment is missing');
  return new Segment(header, read, filterFields, place, formatVersion);
}

/** Bitmap of the deleted documents of a segment that has some (a view). @throws WinnowError WINNOW_INDEX_CORRUPT */
export function readTombstones(
  storage: Storage,
  number: number,
  numDocs: number,
  transaction?: Transaction,
): Uint8Array {
  const place = `${storage.path}, tombstones of segment ${number}`;
  const bytes = storage.tombstones.get(number, transaction ? { transaction } : undefined);
  if (!bytes) throw corrupt(place, 'missing');
  const deleted = verifyChecksum(bytes, place);
  if (deleted.length !== Math.ceil(numDocs / 8)) throw corrupt(place, 'wrong length');
  return deleted;
}
