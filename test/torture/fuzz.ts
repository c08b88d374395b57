import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { IndexStore } from '../../indexer/index-store.ts';
import { INDEX_FILE } from '../../indexer/store/files.ts';
import { packageRoot } from '../../package-root.ts';
import { randomSource } from '../../random.ts';
import { SETTINGS } from '../helpers/documents.ts';
import { play } from './history.ts';

export interface FuzzReport {
  readonly files: number;
  /** The damage lay where nothing is read from (free pages, padding): every answer was right. */
  readonly harmless: number;
  /** Answers with WINNOW_INDEX_CORRUPT; any other code counts as uncoded. */
  readonly codedErrors: number;
  /** After how many of them a repair left a whole index; the others are beyond repair. */
  readonly repaired: number;
  /** How often each way of failing came about; all empty when the index is robust. */
  readonly crashes: readonly string[];
  readonly wrongAnswers: readonly string[];
  readonly uncodedErrors: readonly string[];
  readonly hangs: readonly string[];
}

const TIMEOUT_MS = 20_000;

/**
 * Damages copies of an index file (bits flipped, bytes overwritten, pages swapped, zeroed and cut off) and lets a process of
 * its own ask each everything.
 */
export async function fuzz(folder: string, seed: number, files: number): Promise<FuzzReport> {
  const whole = await wholeIndex(folder, seed);
  const random = randomSource(seed);
  const reader = new Reader();
  const report = {
    files,
    harmless: 0,
    codedErrors: 0,
    repaired: 0,
    crashes: [] as string[],
    wrongAnswers: [] as string[],
    uncodedErrors: [] as string[],
    hangs: [] as string[],
  };
  try {
    const expected = await reader.ask(put(folder, 'sound', whole));
    for (let file = 0; file < files; file++) {
      const { bytes, what } = damage(whole, random);
      const place = `seed ${seed}, file ${file}: ${what}`;
      const answer = await reader.ask(put(folder, 'damaged', bytes));
      if (answer.answer !== undefined && answer.answer === expected.answer) report.harmless++;
      else if (answer.answer !== undefined) report.wrongAnswers.push(place);
      else if (answer.code !== undefined) {
        report.codedErrors++;
        if (answer.repaired) report.repaired++;
      } else if (answer.uncoded !== undefined) report.uncodedErrors.push(`${place}: ${answer.uncoded}`);
      else if (answer.crash === 'timeout') report.hangs.push(place);
      else report.crashes.push(`${place}: ${answer.crash}`);
    }
  } finally {
    reader.stop();
  }
  return report;
}

async function wholeIndex(folder: string, seed: number): Promise<Buffer> {
  const index = join(folder, 'whole');
  const store = IndexStore.openOrCreate(index, SETTINGS, { merges: 'inline' });
  for (let step = 0; step < 40; step++) play(store, seed, step);
  await store.close();
  return readFileSync(join(index, INDEX_FILE));
}

function put(folder: string, name: string, bytes: Buffer): string {
  const index = join(folder, name);
  rmSync(index, { recursive: true, force: true });
  mkdirSync(index);
  writeFileSync(join(index, INDEX_FILE), bytes);
  return index;
}

const PAGE = 4096;

function damage(whole: Buffer, random: () => number): { bytes: Buffer; what: string } {
  const bytes = Buffer.from(whole);
  const at = Math.floor(random() * bytes.length);
  const page = Math.floor(at / PAGE) * PAGE;
  const draw = random();
  if (draw < 0.6) {
    const bit = Math.floor(random() * 8);
    bytes[at]! ^= 1 << bit;
    return { bytes, what: `bit ${bit} of byte ${at} flipped` };
  }
  if (draw < 0.75) {
    const length = 1 + Math.floor(random() * 64);
    for (let i = at; i < Math.min(at + length, bytes.length); i++) bytes[i] = Math.floor(random() * 256);
    return { bytes, what: `${length} bytes from ${at} overwritten` };
  }
  if (draw < 0.83) return { bytes: bytes.fill(0, page, page + PAGE), what: `page at ${page} zeroed` };
  if (draw < 0.91) {
    const other = Math.floor(random() * (bytes.length / PAGE)) * PAGE;
    whole.copy(bytes, page, other, other + PAGE);
    return { bytes, what: `page at ${page} overwritten with the one at ${other}` };
  }
  return { bytes: bytes.subarray(0, at), what: `cut off at ${at} of ${bytes.length}` };
}

interface Answer {
  readonly answer?: string;
  readonly code?: string;
  readonly repaired?: boolean;
  readonly uncoded?: string;
  readonly crash?: string;
}

/** A child that is started again after it crashed. */
class Reader {
  private child: ChildProcess | undefined;

  ask(folder: string): Promise<Answer> {
    this.child ??= spawn(
      process.execPath,
      ['--import', 'tsx', join(packageRoot, 'test/torture/fuzz-reader.ts')],
      { cwd: packageRoot, stdio: ['pipe', 'pipe', 'ignore'] },
    );
    const { child } = this;
    return new Promise((resolve) => {
      const lines = createInterface({ input: child.stdout! });
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        finish({ crash: 'timeout' });
      }, TIMEOUT_MS);
      const onExit = (code: number | null, signal: string | null) =>
        finish({ crash: signal ?? `exit ${code}` });
      const finish = (answer: Answer): void => {
        clearTimeout(timer);
        lines.close();
        child.off('exit', onExit);
        if (answer.crash !== undefined) this.child = undefined;
        resolve(answer);
      };
      lines.once('line', (line) => finish(JSON.parse(line)));
      child.once('exit', onExit);
      child.stdin!.write(`${folder}\n`);
    });
  }

  stop(): void {
    this.child?.kill('SIGKILL');
  }
}
