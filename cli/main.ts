#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { WinnowError } from '../errors.ts';
import { printable, printableLines } from './printable.ts';
import { version } from './version.ts';

const program = new Command('winnow')
  .description('Learned sparse retrieval: index documents, search them, see why each hit matched.')
  .version(version())
  .configureOutput({ outputError: (text, write) => write(printableLines(text)) })
  .showHelpAfterError('(run with --help for the options)')
  .exitOverride();

type Register = (program: Command) => void;

/** What registers each command. A run loads only its own module: most of a short run is loading. */
const COMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  index: async () => (await import('./commands/index.ts')).registerIndex,
  search: async () => (await import('./commands/search.ts')).registerSearch,
  explain: async () => (await import('./commands/explain.ts')).registerExplain,
  serve: async () => (await import('./commands/serve.ts')).registerServe,
  export: async () => (await import('./commands/interchange.ts')).registerExport,
  import: async () => (await import('./commands/interchange.ts')).registerImport,
  eval: async () => (await import('./commands/eval.ts')).registerEval,
  stats: async () => (await import('./commands/stats.ts')).registerStats,
  snapshot: async () => (await import('./commands/snapshot.ts')).registerSnapshot,
  restore: async () => (await import('./commands/restore.ts')).registerRestore,
  compact: async () => (await import('./commands/compact.ts')).registerCompact,
  upgrade: async () => (await import('./commands/upgrade.ts')).registerUpgrade,
  doctor: async () => (await import('./commands/doctor.ts')).registerDoctor,
  demo: async () => (await import('./commands/demo.ts')).registerDemo,
};

/** Registers the command that the arguments name, or all of them for help, a missing name or an unknown one. */
async function register(name: string | undefined): Promise<void> {
  const load =
    name !== undefined && Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]!] : Object.values(COMMANDS);
  for (const registerOne of await Promise.all(load.map((one) => one()))) registerOne(program);
}

async function main(): Promise<number> {
  try {
    await register(process.argv[2]);
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
