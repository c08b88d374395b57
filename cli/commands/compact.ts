import type { Command } from 'commander';
import { compactIndex } from '../../indexer/admin/compact.ts';
import { duration } from '../progress.ts';

export function registerCompact(program: Command): void {
  program
    .command('compact')
    .description(
      'merge all segments and make the index file as small as it can be; no other process may have it open',
    )
    .requiredOption('--index <dir>', 'index folder')
    .action(run);
}

async function run({ index }: { index: string }): Promise<void> {
  const started = performance.now();
  const { bytesBefore, bytesAfter, segments } = await compactIndex(index);
  const number = (value: number) => value.toLocaleString('en');
  console.log(
    `${number(bytesBefore)} bytes before, ${number(bytesAfter)} after, ${segments} ${segments === 1 ? 'segment' : 'segments'}, ` +
      `in ${duration((performance.now() - started) / 1000)}`,
  );
}
