import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../errors.ts';
import { readSnapshotInfo, requireRestorable } from '../indexer/admin/snapshot.ts';
import { PARTIAL } from '../indexer/store/files.ts';
import { storageError } from '../indexer/store/storage-errors.ts';
import type { SearchBackend } from '../query/backend.ts';
import { requireSnapshots } from './search-index.ts';

export interface SnapshotAnswer {
  /** Of its folder: time and generation. */
  name: string;
  formatVersion: number;
  /** ISO 8601, UTC. */
  createdAt: string;
  documents: number;
  /** Of its index file. */
  bytes: number;
  sha256: string;
}

export interface SnapshotsAnswer {
  /** Oldest first. */
  snapshots: SnapshotAnswer[];
  /** Folders that cannot be restored as they are, and why. */
  unusable: { name: string; code: string; message: string; hint?: string }[];
}

/** Snapshots that are kept unless the operator says otherwise. */
export const MAX_SNAPSHOTS = 10;
/** The names that a server gives: time and generation. Folders with other names are the operator's own and stay. */
const MADE_HERE = /^\d{4}-\d\d-\d\dT[\d-]+Z-generation-\d+$/;

/**
 * Snapshots over HTTP: all in one folder that the operator names when the server starts; requests name no paths, and
 * restoring is left to the command line.
 */
export class SnapshotFolder {
  private readonly backend: SearchBackend;
  private readonly folder: string | undefined;
  private readonly maxKept: number;

  constructor(backend: SearchBackend, folder: string | undefined, maxKept = MAX_SNAPSHOTS) {
    this.backend = backend;
    this.folder = folder;
    this.maxKept = maxKept;
  }

  /**
   * Takes one, and then removes the oldest beyond the number kept.
   *
   * @throws WinnowError WINNOW_NOT_FOUND without a folder, WINNOW_STORAGE
   */
  async take(): Promise<SnapshotAnswer> {
    const folder = this.required();
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const backend = requireSnapshots(this.backend);
    const { generation } = await this.backend.health();
    const time = new Date().toISOString().replaceAll(/[:.]/g, '-');
    const name = `${time}-generation-${generation}`;
    await backend.takeSnapshot(join(folder, name));
    const made = this.names(folder).filter((one) => MADE_HERE.test(one));
    for (const old of made.slice(0, -this.maxKept)) rmSync(join(folder, old), { recursive: true });
    return this.describe(folder, name);
  }

  /**
   * Snapshots, oldest first. One that is broken or of another format is listed as such; whether its bytes are whole a restore
   * checks.
   */
  list(): SnapshotsAnswer {
    const folder = this.required();
    const answer: SnapshotsAnswer = { snapshots: [], unusable: [] };
    for (const name of this.names(folder)) {
      try {
        requireRestorable(join(folder, name));
        answer.snapshots.push(this.describe(folder, name));
      } catch (error) {
        const { code, message, hint } = storageError(join(folder, name), error);
        answer.unusable.push({ name, code, message, ...(hint === undefined ? {} : { hint }) });
      }
    }
    return answer;
  }

  /** Oldest first. */
  private names(folder: string): string[] {
    if (!existsSync(folder)) return [];
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.endsWith(PARTIAL))
      .map(({ name }) => name)
      .sort();
  }

  private describe(folder: string, name: string): SnapshotAnswer {
    const { formatVersion, createdAt, documents, bytes, sha256 } = readSnapshotInfo(join(folder, name));
    return { name, formatVersion, createdAt, documents, bytes, sha256 };
  }

  private required(): string {
    if (this.folder !== undefined) return this.folder;
    throw new WinnowError('WINNOW_NOT_FOUND', 'the server was started without a folder for snapshots', {
      hint: 'start it with: winnow serve --snapshots DIR',
    });
  }
}
