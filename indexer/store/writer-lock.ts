import { readFileSync, realpathSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { WinnowError } from '../../errors.ts';
import { exclusively } from './exclusive-file.ts';
import { withStorageErrors } from './storage-errors.ts';

/** In the folder that is written to. */
export const WRITER_LOCK = 'writer.lock';

/** The holder touches its file this often, in ms. */
const BEAT_MS = 5_000;
/** A holder that cannot be looked up is gone when its file is older than this, in ms. */
const SILENT_MS = 30_000;

/** What a lock file says about its holder. */
interface Holder {
  readonly pid: number;
  /** When the process started, in the system's own unit; process ids are used again. Empty where it is not known. */
  readonly started: string;
  /** Within one of these, a process id means one process: boot of the machine and namespace of process ids. */
  readonly machine: string;
}

interface Held {
  handles: number;
  readonly beat: NodeJS.Timeout;
}

/** Folders that this process writes to, by real path. */
const held = new Map<string, Held>();

/**
 * Makes this process the only one that writes to a folder. It may take the lock of a folder several times. A lock whose holder
 * was killed is taken over.
 *
 * Node has no call for the locks of the operating system, so a file names the holder. A holder in another container or of an
 * earlier boot cannot be looked up: it counts as gone when it has not touched the file for {@link SILENT_MS}.
 *
 * @param folder that exists
 * @returns what gives the lock back; calls after the first do nothing
 * @throws WinnowError WINNOW_INDEX_IN_USE naming the holder, WINNOW_STORAGE
 */
export function lockForWriting(folder: string): () => void {
  return withStorageErrors(folder, () => {
    const path = realpathSync(folder);
    const file = join(path, WRITER_LOCK);
    const own = held.get(path);
    if (own) own.handles++;
    else {
      exclusively(`${file}.guard`, () => claim(file, folder));
      held.set(path, { handles: 1, beat: setInterval(() => touch(file), BEAT_MS).unref() });
    }
    let isHeld = true;
    return () => {
      if (isHeld) release(path, file);
      isHeld = false;
    };
  });
}

function claim(file: string, folder: string): void {
  const holder = holderOf(file);
  // Another thread of this process may hold it.
  const isOwn = holder?.pid === process.pid && isHere(holder);
  if (holder && !isOwn && isAlive(holder, file)) throw inUse(holder, folder);
  const partial = `${file}.partial`;
  writeFileSync(partial, JSON.stringify(thisProcess()), { mode: 0o600 });
  renameSync(partial, file);
}

function release(path: string, file: string): void {
  const own = held.get(path);
  if (!own || --own.handles > 0) return;
  clearInterval(own.beat);
  held.delete(path);
  // The folder may be gone, or be another one by now.
  const holder = holderOf(file);
  if (holder?.pid === process.pid && isHere(holder)) rmSync(file, { force: true });
}

function inUse({ pid, machine }: Holder, folder: string): WinnowError {
  const where = machine === thisProcess().machine ? '' : ` of another container or machine (${machine})`;
  return new WinnowError('WINNOW_INDEX_IN_USE', `process ${pid}${where} writes to this folder`, {
    place: folder,
    hint:
      where === ''
        ? 'stop it first; searching beside it works: winnow search, winnow serve --read-only'
        : `stop it first; if it was killed, try again after ${SILENT_MS / 1000} s`,
  });
}

/** Undefined where there is no file, or one that no winnow has written. */
function holderOf(file: string): Holder | undefined {
  try {
    const { pid, started, machine } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Holder>;
    return Number.isInteger(pid) && pid! > 0
      ? { pid: pid!, started: `${started}`, machine: `${machine}` }
      : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder, file: string): boolean {
  // A process whose start cannot be read, as another user's under systemd's ProtectProc, is taken for the holder.
  if (isHere(holder)) return exists(holder.pid) && ['', holder.started].includes(startOf(holder.pid));
  const touched = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return Date.now() - touched < SILENT_MS;
}

const isHere = ({ machine }: Holder): boolean => machine === thisProcess().machine;

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // of another user
  }
}

function touch(file: string): void {
  try {
    const now = new Date();
    utimesSync(file, now, now);
  } catch {
    // The folder is gone; whoever uses the index is told.
  }
}

let own: Holder | undefined;

function thisProcess(): Holder {
  own ??= { pid: process.pid, started: startOf(process.pid), machine: machineOf() };
  return own;
}

/** Linux says it; elsewhere a process id alone must do. Of a process that has ended and was not waited for, it is `ended`. */
function startOf(pid: number): string {
  try {
    // The name in parentheses may hold blanks; the state comes after it, and the start is the 20th field after it.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? 'ended' : (fields[19] ?? '');
  } catch {
    return '';
  }
}

function machineOf(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${statSync('/proc/self/ns/pid').ino}`;
  } catch {
    return hostname();
  }
}
