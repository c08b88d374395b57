import { randomUUID } from 'node:crypto';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { asBuffer } from '../format/bytes.ts';
import { verifyChecksum, withChecksum } from '../format/checksum.ts';
import { removeParts, type Storage } from '../store/storage.ts';

/**
 * A merge in progress, as other threads and processes see it. No other merge may take its inputs. The parts that it has written
 * under `output` are not visible in any generation yet.
 */
interface MergeRecord {
  readonly output: number;
  readonly inputs: readonly number[];
  /** Of one process and its threads; another process never has the same, even with the same pid. */
  readonly owner: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
}

const PREFIX = 'merge ';
/** After this time a record counts as left over even while a process has its pid: pids are reused. */
const MAX_AGE_MS = 24 * 3600 * 1000;

const OWNER_KEY = 'winnow process';
/** Worker threads inherit it. */
const owner = (getEnvironmentData(OWNER_KEY) as string | undefined) ?? randomUUID();
setEnvironmentData(OWNER_KEY, owner);

/** Inside a write transaction. @param output number of the merged segment */
export function putMergeRecord(storage: Storage, output: number, inputs: readonly number[]): void {
  const record: MergeRecord = { output, inputs, owner, pid: process.pid, startedAt: Date.now() };
  storage.manifest.put(`${PREFIX}${output}`, asBuffer(withChecksum(Buffer.from(JSON.stringify(record)))));
}

/** Whether a merge of this process still has its record: another process may have removed it as left over. */
export function ownsRecord(storage: Storage, output: number): boolean {
  return mergeRecords(storage).some((record) => record.output === output && record.owner === owner);
}

/** @throws WinnowError WINNOW_INDEX_CORRUPT */
export function mergeRecords(storage: Storage): MergeRecord[] {
  const range = storage.manifest.getRange({ start: PREFIX, end: `${PREFIX}~`, snapshot: false });
  return Array.from(range, ({ key, value }) =>
    JSON.parse(Buffer.from(verifyChecksum(value, `${storage.path}, record "${key}"`)).toString('utf8')),
  );
}

/**
 * Segments that a running merge, of this or another process, is about to replace.
 *
 * @param ownIsRunning whether a record of this process may belong to a merge that is running; otherwise it is left over
 */
export function segmentsInMerges(storage: Storage, ownIsRunning: boolean): Set<number> {
  return new Set(
    mergeRecords(storage)
      .filter((record) => isRunning(record, ownIsRunning))
      .flatMap(({ inputs }) => inputs),
  );
}

/** Inside a write transaction: removes a merge's record and, with `parts`, what it stored. */
export function removeMergeRecord(storage: Storage, output: number, { parts }: { parts: boolean }): void {
  storage.manifest.remove(`${PREFIX}${output}`);
  if (parts) removeParts(storage, output);
}

/** Inside a write transaction: removes all merge records with their parts, in an index in which nothing merges. */
export function removeAllMerges(storage: Storage): void {
  for (const { output } of mergeRecords(storage)) removeMergeRecord(storage, output, { parts: true });
}

/** Inside a write transaction: removes the remains of merges that were killed or could not clean up. */
export function removeLeftovers(storage: Storage, ownIsRunning: boolean): void {
  for (const record of mergeRecords(storage))
    if (!isRunning(record, ownIsRunning)) removeMergeRecord(storage, record.output, { parts: true });
}

function isRunning(record: MergeRecord, ownIsRunning: boolean): boolean {
  if (record.owner === owner) return ownIsRunning;
  if (record.pid === process.pid || Date.now() - record.startedAt > MAX_AGE_MS) return false;
  try {
    process.kill(record.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
