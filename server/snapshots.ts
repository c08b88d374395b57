import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Type } from 'typebox';
import { WinnowError } from '../errors.ts';
import { readSnapshotInfo, SNAPSHOT_FILE, takeSnapshot } from '../indexer/snapshot.ts';
import type { SearchEngine } from '../query/search-engine.ts';

const Snapshot = Type.Object({
  name: Type.String(),
  createdAt: Type.String(),
  documents: Type.Integer(),
  bytes: Type.Integer(),
  sha256: Type.String(),
});

export const SnapshotResponse = Snapshot;
export const SnapshotsResponse = Type.Object({ snapshots: Type.Array(Snapshot) });

type SnapshotAnswer = Type.Static<typeof Snapshot>;

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

  /** Whole snapshots, oldest first. */
  list(): { snapshots: SnapshotAnswer[] } {
    const folder = this.required();
    const names = existsSync(folder) ? readdirSync(folder).sort() : [];
    const whole = names.filter((name) => existsSync(join(folder, name, SNAPSHOT_FILE)));
    return { snapshots: whole.map((name) => this.describe(folder, name)) };
  }

  private describe(folder: string, name: string): SnapshotAnswer {
    const { createdAt, documents, bytes, sha256 } = readSnapshotInfo(join(folder, name));
    return { name, createdAt, documents, bytes, sha256 };
  }

  private required(): string {
    if (this.folder !== undefined) return this.folder;
    throw new WinnowError('WINNOW_NOT_FOUND', 'the server was started without a folder for snapshots', {
      hint: 'start it with: winnow serve --snapshots DIR',
    });
  }
}
