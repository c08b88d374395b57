import type { Command } from 'commander';
import { IndexStore } from '../../indexer/index-store.ts';
import { printable } from '../printable.ts';
import { duration } from '../progress.ts';

export function registerSnapshot(program: Command): void {
  program
    .command('snapshot')
    .description('write a consistent copy of an index, also while it is searched and written to')
    .argument('<folder>', 'folder to create for the snapshot')
    .requiredOption('--index <dir>', 'index folder')
    .option('--json', 'print one JSON object')
    .action(run);
}

async function run(folder: string, { index, json }: { index: string; json?: boolean }): Promise<void> {
  const started = performance.now();
  const store = IndexStore.open(index, { readOnly: true });
  try {
    const info = await store.takeSnapshot(folder);
    if (json) {
      console.log(JSON.stringify(info));
      return;
    }
    console.log(
      `${info.documents.toLocaleString('en')} documents, ${info.bytes.toLocaleString('en')} bytes in ` +
        `${duration((performance.now() - started) / 1000)}; bring them back with: winnow restore ${printable(folder)} --index DIR`,
    );
  } finally {
    await store.close();
  }
}
