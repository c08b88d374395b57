#!/usr/bin/env node
import { CommanderError } from 'commander';
import { WinnowError } from '../errors.ts';
import { printable } from './printable.ts';
import { createProgram } from './program.ts';

async function main(): Promise<number> {
  try {
    const program = await createProgram(process.argv[2]);
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
