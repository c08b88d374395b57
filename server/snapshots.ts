import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Type } from 'typebox';
import { WinnowError } from '../errors.ts';
import { PARTIAL, readSnapshotInfo, requireRestorable, takeSnapshot } from '../indexer/snapshot.ts';
import { storageError } from '../indexer/storage.ts';
import type { SearchEngine } from '../query/search-engine.ts';

const Snapshot = Type.Object({
  name: Type.String(),
  formatVersion: Type.Integer(),
  createdAt: Type.String(),
  documents: Type.Integer(),
  bytes: Type.Integer(),
  sha256: Type.String(),
});

/** A folder that cannot be restored as it is, and why. */
const UnusableSnapshot = Type.Object({
  name: Type.String(),
  code: Type.String(),
  message: Type.String(),
  hint: Type.Optional(Type.String()),
});

export const SnapshotResponse = Snapshot;
export const SnapshotsResponse = Type.Object({
  snapshots: Type.Array(Snapshot),
  unusable: Type.Array(UnusableSnapshot),
});

type SnapshotAnswer = Type.Static<typeof Snapshot>;
type SnapshotsAnswer = Type.Static<typeof SnapshotsResponse>;

/**
 * Snapshots over HTTP: all in one folder that the operator names when the server starts; requests name no paths, and
 * restoring is left to the command line.
 */
export class SnapshotFolder {
  private readonly engine: SearchEngine;
  private readonly folder: string | undefined;

  constructor(engine: SearchEngine, folder: string | undefined) {
    this.engine = engine;
    this.folder = folder;
  }

  /** @throws WinnowError WINNOW_NOT_FOUND without a folder, WINNOW_STORAGE */
  async take(): Promise<SnapshotAnswer> {
    const folder = this.required();
    mkdirSync(folder, { recursive: true });
    const { generation } = this.engine.generation().manifest;
    const time = new Date().toISOString().replaceAll(/[:.]/g, '-');
    const name = `${time}-generation-${generation}`;
    await takeSnapshot(this.engine.store, join(folder, name));
    return this.describe(folder, name);
  }

  /**
   * Snapshots, oldest first. One that is broken or of another format is listed as such; whether its bytes are whole a restore
   * checks.
   */
  list(): SnapshotsAnswer {
    const folder = this.required();
    const names = existsSync(folder)
      ? readdirSync(folder, { withFileTypes: true })
          .filter((entry) => entry.isDirectory() && !entry.name.endsWith(PARTIAL))
          .map(({ name }) => name)
          .sort()
      : [];
    const answer: SnapshotsAnswer = { snapshots: [], unusable: [] };
    for (const name of names) {
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
