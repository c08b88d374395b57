import { Command } from 'commander';
import { version } from '../version.ts';
import { printableLines } from './printable.ts';

type Register = (program: Command) => void;

/** What registers each command. A run loads only its own module: most of a short run is loading. */
const COMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  index: async () => (await import('./commands/index.ts')).registerIndex,
  watch: async () => (await import('./commands/watch.ts')).registerWatch,
  search: async () => (await import('./commands/search.ts')).registerSearch,
  explain: async () => (await import('./commands/explain.ts')).registerExplain,
  serve: async () => (await import('./commands/serve.ts')).registerServe,
  key: async () => (await import('./commands/key.ts')).registerKey,
  export: async () => (await import('./commands/interchange.ts')).registerExport,
  import: async () => (await import('./commands/interchange.ts')).registerImport,
  eval: async () => (await import('./commands/eval.ts')).registerEval,
  alias: async () => (await import('./commands/alias.ts')).registerAlias,
  migrate: async () => (await import('./commands/migrate.ts')).registerMigrate,
  stats: async () => (await import('./commands/stats.ts')).registerStats,
  snapshot: async () => (await import('./commands/snapshot.ts')).registerSnapshot,
  restore: async () => (await import('./commands/restore.ts')).registerRestore,
  compact: async () => (await import('./commands/compact.ts')).registerCompact,
  upgrade: async () => (await import('./commands/upgrade.ts')).registerUpgrade,
  doctor: async () => (await import('./commands/doctor.ts')).registerDoctor,
  mcp: async () => (await import('./commands/mcp.ts')).registerMcp,
  reencode: async () => (await import('./commands/reencode.ts')).registerReencode,
  train: async () => (await import('./commands/train.ts')).registerTrain,
  model: async () => (await import('./commands/model.ts')).registerModel,
  demo: async () => (await import('./commands/demo.ts')).registerDemo,
};

/** The `winnow` command. @param name the one command to register; all of them for help, a missing name or an unknown one */
export async function createProgram(name?: string): Promise<Command> {
  const program = new Command('winnow')
    .description('Learned sparse retrieval: index documents, search them, see why each hit matched.')
    .version(version())
    .configureOutput({ outputError: (text, write) => write(printableLines(text)) })
    .showHelpAfterError('(run with --help for the options)')
    .exitOverride();
  const load =
    name !== undefined && Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]!] : Object.values(COMMANDS);
  for (const register of await Promise.all(load.map((one) => one()))) register(program);
  return program;
}
