#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { WinnowError } from '../errors.ts';
import { registerBench } from './commands/bench.ts';
import { registerCompact } from './commands/compact.ts';
import { registerDemo } from './commands/demo.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerEval } from './commands/eval.ts';
import { registerExplain } from './commands/explain.ts';
import { registerIndex } from './commands/index.ts';
import { registerInterchange } from './commands/interchange.ts';
import { registerRestore } from './commands/restore.ts';
import { registerSearch } from './commands/search.ts';
import { registerServe } from './commands/serve.ts';
import { registerSnapshot } from './commands/snapshot.ts';
import { registerStats } from './commands/stats.ts';
import { registerUpgrade } from './commands/upgrade.ts';
import { printable, printableLines } from './printable.ts';
import { version } from './version.ts';

const program = new Command('winnow')
  .description('Learned sparse retrieval: index documents, search them, see why each hit matched.')
  .version(version())
  .configureOutput({ outputError: (text, write) => write(printableLines(text)) })
  .showHelpAfterError('(run with --help for the options)')
  .exitOverride();

for (const register of [
  registerIndex,
  registerSearch,
  registerExplain,
  registerServe,
  registerInterchange,
  registerEval,
  registerStats,
  registerSnapshot,
  registerRestore,
  registerCompact,
  registerUpgrade,
  registerDoctor,
  registerBench,
  registerDemo,
]) {
  register(program);
}

async function main(): Promise<number> {
  try {
    await program.parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode; // commander has printed it
    const coded = codedError(error);
    if (!coded) throw error;
    process.stderr.write(`${printable(String(coded))}\n`);
    return 1;
  }
}

/** Errors of winnow, and those of the file system that no command expected; undefined for a fault of the program. */
function codedError(error: unknown): WinnowError | undefined {
  if (error instanceof WinnowError) return error;
  const { code, syscall, path, message } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return undefined;
  return new WinnowError(code === 'ENOENT' ? 'WINNOW_NOT_FOUND' : 'WINNOW_STORAGE', message, {
    ...(path === undefined ? {} : { place: path }),
    cause: error,
  });
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0); // `winnow search … | head` closed the pipe
  const full = new WinnowError('WINNOW_STORAGE', error.message, { place: 'standard output' });
  process.stderr.write(`${full}\n`);
  process.exit(1);
});
// There is nowhere left to report to, and a run must not end because its progress cannot be shown.
process.stderr.on('error', () => {});
process.exitCode = await main();
