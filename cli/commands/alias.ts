import type { Command } from 'commander';
import { moveAlias } from '../../backends/opensearch/alias.ts';
import { defined } from '../../defined.ts';
import { addClusterOptions, clusterOptions, type EngineCliOptions } from '../engine.ts';
import { printable } from '../printable.ts';

interface AliasCliOptions extends Pick<EngineCliOptions, 'url' | 'caFile'> {
  readonly deletePrevious?: boolean;
  readonly otherSettings?: boolean;
}

export function registerAlias(program: Command): void {
  const command = program
    .command('alias')
    .description(
      'let an alias of a cluster stand for another index, at once: documents are indexed again without a pause',
    )
    .argument('<alias>', 'what searches name')
    .argument('<index>', 'index that it is to stand for')
    .option('--delete-previous', 'delete the index that it stood for, in the same step')
    .option('--other-settings', 'also where the index has another model or other fields');
  addClusterOptions(command).action(
    async (alias: string, index: string, { deletePrevious, otherSettings, url, caFile }: AliasCliOptions) => {
      const moved = await moveAlias({
        alias,
        index,
        ...defined({ deletePrevious, otherSettings }),
        ...clusterOptions(defined({ url, caFile })),
      });
      const { previous } = moved;
      const before =
        previous === undefined || previous === index
          ? ''
          : `, no longer for ${previous}${deletePrevious ? ', which is deleted' : ''}`;
      console.log(printable(`${alias} stands for ${index}${before}`));
    },
  );
}
