import { statfsSync } from 'node:fs';
import { WinnowError } from '../../errors.ts';

/** Free space required beyond the bytes that are going to be written. */
const SPARE_BYTES = 16 * 1024 * 1024;

/** A transaction checks the disk again each time it has grown by this much. */
const CHECK_EVERY_BYTES = 4 * 1024 * 1024;

/**
 * Rejects a write for which the disk has no room before LMDB begins it: lmdb-js 3.5.6 overflows a 100-byte buffer while
 * formatting the error of a failed write (mdb_page_flush), which sooner or later ends the process.
 *
 * @throws WinnowError WINNOW_STORAGE
 */
export function requireDiskSpace(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (free >= bytes + SPARE_BYTES) return;
  throw new WinnowError(
    'WINNOW_STORAGE',
    `the disk has ${free} bytes free; writing ${bytes} bytes requires ${bytes + SPARE_BYTES}`,
    { place: folder, hint: 'free space, or use another disk; nothing was changed' },
  );
}

/** Counts what a transaction is going to write, and checks that the disk has room for it. */
export class DiskSpaceGuard {
  private readonly folder: string;
  private reserved = 0;
  /** The disk was checked for this many bytes. */
  private checked = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Starts a transaction. @throws WinnowError WINNOW_STORAGE */
  begin(): void {
    this.reserved = 0;
    this.checked = 0;
    this.reserve(0);
  }

  /** @param bytes about to be written in this transaction. @throws WinnowError WINNOW_STORAGE */
  reserve(bytes: number): void {
    this.reserved += bytes;
    if (this.reserved < this.checked) return;
    requireDiskSpace(this.folder, this.reserved);
    this.checked = this.reserved + CHECK_EVERY_BYTES;
  }
}
