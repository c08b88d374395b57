import { type Command, Option } from 'commander';
import type { Filter } from '../../query/filter.ts';
import { openIndex } from '../../query/search-engine.ts';
import type { ScanOptions, SearchMode } from '../../query/searcher.ts';
import { defined, jsonFilter, number, wholeNumber } from '../options.ts';
import { renderHit } from '../render.ts';

interface SearchCliOptions extends Pick<ScanOptions, 'scan' | 'alpha'> {
  readonly index: string;
  readonly k: number;
  readonly offset?: number;
  readonly mode?: SearchMode;
  readonly filter?: Filter;
  readonly group?: boolean;
  readonly json?: boolean;
  /** Milliseconds. */
  readonly budget?: number;
}

export const modeOption = (): Option =>
  new Option('--mode <mode>', 'ranking').choices(['sparse', 'bm25', 'hybrid']).default('sparse');

export function registerSearch(program: Command): void {
  program
    .command('search')
    .description('search an index')
    .argument('<query...>', 'words to search for')
    .requiredOption('--index <dir>', 'index folder')
    .option('-k, --k <n>', 'number of hits', wholeNumber(1, 1000), 10)
    .option('--offset <n>', 'hits to pass over', wholeNumber(0, 10_000))
    .addOption(modeOption())
    .option('--filter <json>', 'only documents that match, e.g. \'{"year":{"gte":2020}}\'', jsonFilter)
    .option('--group', 'only the best passage of each document')
    .addOption(
      new Option('--scan <how>', 'every posting, or only blocks that can hold a hit').choices([
        'auto',
        'exact',
        'pruned',
      ]),
    )
    .option('--alpha <share>', 'pruned search: below 1 faster and approximate', number(0, 1))
    .option('--budget <ms>', 'pruned search: answer with the best found after this time', number(0, 1e6))
    .option('--json', 'print one JSON object')
    .action(run);
}

async function run(words: string[], options: SearchCliOptions): Promise<void> {
  const { k, offset, mode, filter, group, scan, alpha, budget } = options;
  const engine = openIndex(options.index, { readOnly: true });
  try {
    const result = engine.search(words.join(' '), {
      explain: true,
      ...defined({ k, offset, mode, filter, groupByParent: group, scan, alpha, budgetMs: budget }),
    });
    if (options.json) {
      console.log(JSON.stringify(result));
      return;
    }
    result.hits.forEach((hit, i) => {
      console.log(renderHit(hit, (offset ?? 0) + i + 1));
    });
    console.log(
      result.hits.length === 0
        ? 'no hits'
        : `${result.hits.length} hits in ${(result.tookUs / 1000).toFixed(2)} ms${result.complete ? '' : ', cut short by the time budget'}`,
    );
  } finally {
    await engine.close();
  }
}
