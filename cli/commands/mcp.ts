import { basename, resolve } from 'node:path';
import closeWithGrace from 'close-with-grace';
import type { Command } from 'commander';
import { openIndex, type SearchIndex } from '../../app/search-index.ts';
import { defined } from '../../defined.ts';
import { WinnowError } from '../../errors.ts';
import type { ToolIndexes } from '../../server/mcp/tool-host.ts';
import { version } from '../../version.ts';
import { addEncoderOptions, type EncoderCliOptions, repeated } from '../options.ts';

interface McpCliOptions extends EncoderCliOptions {
  readonly index: readonly string[];
  readonly folder?: readonly string[];
  readonly readOnly?: boolean;
}

export function registerMcp(program: Command): void {
  const command = program
    .command('mcp')
    .description(
      'serve indexes to an editor or assistant by the Model Context Protocol, over standard input and output',
    )
    .requiredOption(
      '--index <dir>',
      'index folder, named by its last part; created when missing; repeat for more',
      repeated,
    )
    .option(
      '--folder <dir>',
      'folder whose files the tool index may read; repeat for more (default: the current one)',
      repeated,
    )
    .option('--read-only', 'only search: no tool changes an index');
  addEncoderOptions(command).action(run);
}

async function run({ index, folder, readOnly = false, ...encoder }: McpCliOptions): Promise<void> {
  const { createToolServer } = await import('../../server/mcp/tools.ts');
  const { serveStdio } = await import('@modelcontextprotocol/server/stdio');
  const indexes = openAll(index, readOnly, encoder);
  const options = {
    version: version(),
    mayWrite: !readOnly,
    folders: (folder ?? ['.']).map((one) => resolve(one)),
  };
  const open = (name: string): SearchIndex => {
    const found = indexes.get(name);
    if (found) return found;
    throw new WinnowError('WINNOW_NOT_FOUND', `no collection "${name}"`, {
      place: 'collection',
      hint: `name one of ${[...indexes.keys()].join(', ')}`,
    });
  };
  const tools: ToolIndexes = {
    names: () => [...indexes.keys()].sort(),
    open,
    search: async (name, request, signal) => open(name).backend.search(request, signal),
  };
  const connection = serveStdio(() => createToolServer(tools, options), {
    onerror: (error) => process.stderr.write(`${error.message}\n`),
  });
  const graceful = closeWithGrace({ delay: 10_000 }, async () => {
    await connection.close();
    await Promise.all([...indexes.values()].map((one) => one.close()));
  });
  // The client ends the session by closing standard input.
  process.stdin.once('end', () => void graceful.close());
}

/** @throws WinnowError WINNOW_BAD_ARGUMENT for two folders of one name; those of {@link openIndex} */
function openAll(
  folders: readonly string[],
  readOnly: boolean,
  { model, backend, threads }: EncoderCliOptions,
): Map<string, SearchIndex> {
  const indexes = new Map<string, SearchIndex>();
  for (const folder of folders) {
    const name = basename(resolve(folder));
    if (indexes.has(name))
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `two indexes are named "${name}"`, {
        place: '--index',
        hint: 'rename one of the folders',
      });
    indexes.set(
      name,
      openIndex(folder, { create: !readOnly, readOnly, ...defined({ model, backend, threads }) }),
    );
  }
  return indexes;
}
