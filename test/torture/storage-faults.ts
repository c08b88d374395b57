import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { WinnowError } from '../../errors.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import { INDEX_FILE } from '../../indexer/store/files.ts';
import { packageRoot } from '../../package-root.ts';
import { randomSource } from '../../random.ts';
import { startScriptWith } from '../helpers/cli.ts';
import { contentsOf, modelAfter, sameModel } from './history.ts';

/** Why storage faults cannot be made here; undefined when they can. */
export function faultsUnavailable(): string | undefined {
  if (process.platform !== 'linux') return 'only on Linux';
  return spawnSync('cc', ['--version']).status === 0 ? undefined : 'no C compiler';
}

function buildShim(folder: string): string {
  const shim = join(folder, 'storage-faults.so');
  const source = join(packageRoot, 'test/torture/storage-faults.c');
  const { status, stderr } = spawnSync('cc', [
    '-O1',
    '-shared',
    '-fPIC',
    '-o',
    shim,
    source,
    '-ldl',
    '-lpthread',
  ]);
  assert.is(status, 0, String(stderr));
  return shim;
}

interface LogRecord {
  readonly kind: string;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** See storage-faults.c. */
function readLog(file: string): LogRecord[] {
  const log = readFileSync(file);
  const records: LogRecord[] = [];
  for (let at = 0; at < log.length; ) {
    const kind = String.fromCharCode(log[at]!);
    const offset = Number(log.readBigUInt64LE(at + 1));
    const length = Number(log.readBigUInt64LE(at + 9));
    records.push({ kind, offset, bytes: log.subarray(at + 17, at + 17 + length) });
    at += 17 + length;
  }
  return records;
}

export interface PowerCutReport {
  readonly cuts: number;
  readonly steps: number;
  /** Cuts with writes under way that were not synced. */
  readonly cutsInWrites: number;
  /** Cuts before the first acknowledgement after which there was no index yet. */
  readonly beforeIndex: number;
}

const SECTOR = 512;

/**
 * Plays a history while every write and every sync of the index file is recorded, then cuts the power at random places of the
 * record: what was synced by then is on the disk, of each later write nothing, all, or some sectors. After every cut the index
 * must hold the state after the last acknowledged step, or after the one under way.
 */
export async function cutPower(
  folder: string,
  seed: number,
  steps: number,
  cuts: number,
  merges: 'small' | 'large',
): Promise<PowerCutReport> {
  mkdirSync(folder, { recursive: true });
  const log = join(folder, 'log');
  const child = startScriptWith(
    { LD_PRELOAD: buildShim(folder), FAULT_LOG: log },
    'test/torture/history-writer.ts',
    join(folder, 'index'),
    String(seed),
    '0',
    String(steps - 1),
    merges,
  );
  const [code] = await once(child, 'close');
  assert.is(code, 0, `seed ${seed}: the writer failed`);
  const records = readLog(log);
  rmSync(log);
  const random = randomSource(seed);
  const places = Array.from({ length: cuts }, () => Math.floor(random() * (records.length + 1))).sort(
    (a, b) => a - b,
  );
  const disk = new Disk();
  let acknowledged = -1;
  let done = 0;
  let cutsInWrites = 0;
  let beforeIndex = 0;
  let model = modelAfter(seed, 0);
  for (const place of places) {
    const before = acknowledged;
    for (; done < place; done++) {
      const record = records[done]!;
      if (record.kind === 'o') {
        for (const line of record.bytes.toString().split('\n'))
          if (/^\d+$/.test(line)) acknowledged = Number(line);
      } else {
        disk.apply(record);
      }
    }
    model = modelAfter(seed, acknowledged + 1, model, before + 1);
    if (disk.pending > 0) cutsInWrites++;
    const cut = join(folder, 'cut');
    rmSync(cut, { recursive: true, force: true });
    mkdirSync(cut);
    writeFileSync(join(cut, INDEX_FILE), disk.afterCut(random));
    const what = `seed ${seed}, ${merges} merges, cut at record ${place} of ${records.length}, step ${acknowledged} acknowledged`;
    let store: IndexStore;
    try {
      store = IndexStore.open(cut);
    } catch (error) {
      assert.ok(error instanceof WinnowError && acknowledged < 0, `${what}: ${error}`);
      beforeIndex++;
      continue;
    }
    store.verify();
    const found = contentsOf(store.view(), seed);
    const further = modelAfter(seed, acknowledged + 2, model, acknowledged + 1);
    assert.ok(
      sameModel(found, model) || sameModel(found, further),
      `${what}: the index holds something else`,
    );
    store.upsert([]);
    await store.close();
  }
  return { cuts, steps, cutsInWrites, beforeIndex };
}

/** A disk that keeps what was synced, and forgets what it likes of the rest. */
class Disk {
  private durable: Buffer = Buffer.alloc(0);
  private unsynced: LogRecord[] = [];

  get pending(): number {
    return this.unsynced.length;
  }

  apply(record: LogRecord): void {
    switch (record.kind) {
      case 'w':
      case 'd':
        this.unsynced.push(record);
        break;
      case 's':
        for (const { offset, bytes } of this.unsynced) this.durable = place(this.durable, offset, bytes);
        this.unsynced = [];
        break;
      case 'D': {
        // Only this write is on the disk: it does not take the others with it.
        const own = this.unsynced.findIndex(({ kind, offset }) => kind === 'd' && offset === record.offset);
        const [{ offset, bytes }] = this.unsynced.splice(own, 1) as [LogRecord];
        this.durable = place(this.durable, offset, bytes);
      }
    }
  }

  /** What a reader finds after the power is back. */
  afterCut(random: () => number): Buffer {
    let image: Buffer = Buffer.from(this.durable);
    const luck = random();
    for (const { offset, bytes } of this.unsynced) {
      // A third of the cuts loses all, a third keeps nearly all, a third is mixed.
      if (random() < (luck < 1 / 3 ? 1 : luck < 2 / 3 ? 0.1 : 0.5)) continue;
      const sectors = Math.ceil(bytes.length / SECTOR);
      const kept = random() < 0.5 ? sectors : Math.floor(random() * sectors);
      image = place(image, offset, bytes.subarray(0, kept * SECTOR));
    }
    return image;
  }
}

function place(image: Buffer, offset: number, bytes: Buffer): Buffer {
  let target: Buffer = image;
  if (offset + bytes.length > image.length) {
    target = Buffer.alloc(offset + bytes.length);
    image.copy(target);
  }
  bytes.copy(target, offset);
  return target;
}

export interface FullDiskReport {
  readonly rounds: number;
  readonly steps: number;
  readonly refusedWrites: number;
  /** Writers that ended by a signal; see {@link fillDisk}. */
  readonly crashes: number;
}

/**
 * Lets the disk run full under a writer, several times: each refused write must be a WINNOW_STORAGE error that changes nothing,
 * and the writer must go on when there is space again.
 *
 * @param said whether the system says beforehand that no space is left; else writes fail out of the blue, and the writer may
 *   crash in lmdb-js (see requireSpace), but must lose nothing
 */
export async function fillDisk(
  folder: string,
  seed: number,
  rounds: number,
  merges: 'small' | 'large',
  { said }: { said: boolean },
): Promise<FullDiskReport> {
  mkdirSync(folder, { recursive: true });
  const shim = buildShim(folder);
  const flag = join(folder, 'full');
  const index = join(folder, 'index');
  let acknowledged = -1;
  let refusedWrites = 0;
  let crashes = 0;
  let complaints = '';
  const start = (): ChildProcess => {
    const child = startScriptWith(
      { LD_PRELOAD: shim, FAULT_FULL: flag, ...(said ? { FAULT_FULL_SAID: '1' } : {}) },
      'test/torture/history-writer.ts',
      index,
      String(seed),
      String(acknowledged + 1),
      '-1',
      merges,
    );
    child.stderr!.on('data', (chunk) => {
      complaints += chunk;
    });
    child.stdout!.on('data', (chunk) => {
      for (const line of String(chunk).split('\n')) {
        if (/^\d+$/.test(line)) acknowledged = Number(line);
        else if (line.startsWith('error ')) {
          // After a failed write lmdb-js may not trust its file any more; only out of the blue, too.
          assert.ok(
            line === 'error WINNOW_STORAGE' || (!said && line === 'error WINNOW_INDEX_CORRUPT'),
            line,
          );
          refusedWrites++;
        }
      }
    });
    return child;
  };
  let child = start();
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  const until = async (what: string, reached: () => boolean): Promise<void> => {
    const deadline = Date.now() + 60_000;
    while (!reached() && !ended()) {
      assert.ok(Date.now() < deadline, `seed ${seed}: no ${what} within a minute; ${complaints}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.ok(!ended() || !said, `seed ${seed}: the writer ended: ${complaints}`);
  };
  try {
    for (let round = 0; round < rounds; round++) {
      if (ended()) {
        crashes++;
        child = start();
      }
      const goal = acknowledged + 6;
      await until('progress', () => acknowledged >= goal);
      const before = refusedWrites;
      writeFileSync(flag, '');
      await until('refused write', () => refusedWrites > before);
      // The step that is refused is not acknowledged, so nothing changes while the disk is full.
      const store = IndexStore.open(index, { readOnly: true });
      const found = contentsOf(store.view(), seed);
      store.verify();
      await store.close();
      assert.ok(
        sameModel(found, modelAfter(seed, acknowledged + 1)),
        `seed ${seed}: step ${acknowledged} was acknowledged, the index holds something else`,
      );
      rmSync(flag);
    }
  } finally {
    if (existsSync(flag)) rmSync(flag);
    child.kill('SIGKILL');
  }
  if (!ended()) await once(child, 'close');
  return { rounds, steps: acknowledged + 1, refusedWrites, crashes };
}
