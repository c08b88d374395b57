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
import { version } from './version.ts';

const program = new Command('winnow')
  .description('Learned sparse retrieval: index documents, search them, see why each hit matched.')
  .version(version())
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
    if (error instanceof WinnowError) {
      process.stderr.write(`${error}\n`);
      return 1;
    }
    throw error;
  }
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0); // `winnow search … | head` closed the pipe
  throw error;
});
process.exitCode = await main();
