import { randomUUID } from 'node:crypto';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { PartKind } from './format.ts';
import { unsealed } from './segment.ts';
import { sealed } from './segment-builder.ts';
import { type Storage, segmentKey } from './storage.ts';

/**
 * A merge under way, as other threads and processes see it: its inputs are nobody else's to merge, and the parts it has
 * stored under `output` belong to no generation yet.
 */
export interface MergeRecord {
  readonly output: number;
  readonly inputs: readonly number[];
  /** Of one process and its threads; another process never has the same, even with the same pid. */
  readonly owner: string;
  readonly pid: number;
  readonly startedAt: number;
}

const PREFIX = 'merge ';
/** A record whose pid is alive may still be a left-over: the number was given to another process. */
const MAX_AGE_MS = 24 * 3600 * 1000;

const OWNER_KEY = 'winnow process';
/** Worker threads inherit it. */
const owner = (getEnvironmentData(OWNER_KEY) as string | undefined) ?? randomUUID();
setEnvironmentData(OWNER_KEY, owner);

export function putMergeRecord(storage: Storage, output: number, inputs: readonly number[]): void {
  const record: MergeRecord = { output, inputs, owner, pid: process.pid, startedAt: Date.now() };
  storage.manifest.put(`${PREFIX}${output}`, Buffer.from(sealed(Buffer.from(JSON.stringify(record)))));
}

/** Whether a merge of this process still has its record: another process may have taken it for dead. */
export function ownsRecord(storage: Storage, output: number): boolean {
  return mergeRecords(storage).some((record) => record.output === output && record.owner === owner);
}

export function mergeRecords(storage: Storage): MergeRecord[] {
  const range = storage.manifest.getRange({ start: PREFIX, end: `${PREFIX}~`, snapshot: false });
  return Array.from(range, ({ key, value }) =>
    JSON.parse(Buffer.from(unsealed(value, `${storage.path}, record "${key}"`)).toString('utf8')),
  );
}

/**
 * Segments that a running merge, of this or another process, is about to replace.
 *
 * @param ownRuns whether records of this process may be of a merge that still runs
 */
export function segmentsInMerges(storage: Storage, ownRuns: boolean): Set<number> {
  return new Set(
    mergeRecords(storage)
      .filter((record) => isRunning(record, ownRuns))
      .flatMap(({ inputs }) => inputs),
  );
}

/** Inside a write transaction: removes a merge's record and, with `parts`, what it stored. */
export function removeRecord(storage: Storage, output: number, { parts }: { parts: boolean }): void {
  storage.manifest.remove(`${PREFIX}${output}`);
  if (parts)
    for (const kind of [0, ...Object.values(PartKind)]) storage.segments.remove(segmentKey(output, kind));
}

/** Inside a write transaction: removes what merges left behind that were killed or could not clear up. */
export function removeLeftovers(storage: Storage, ownRuns: boolean): void {
  for (const record of mergeRecords(storage))
    if (!isRunning(record, ownRuns)) removeRecord(storage, record.output, { parts: true });
}

function isRunning(record: MergeRecord, ownRuns: boolean): boolean {
  if (record.owner === owner) return ownRuns;
  if (record.pid === process.pid || Date.now() - record.startedAt > MAX_AGE_MS) return false;
  try {
    process.kill(record.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
