import { type Command, Option } from 'commander';
import type { FieldSort } from '../../query/fields.ts';
import type { Filter } from '../../query/filter.ts';
import { MODES, SCANS, SEARCH_OPTIONS } from '../../query/request.ts';
import { openIndex } from '../../query/search-engine.ts';
import type { ScanOptions, SearchMode } from '../../query/search-types.ts';
import {
  defined,
  fieldSort,
  indexModelOption,
  jsonFilter,
  number,
  plainOption,
  repeated,
  wholeNumber,
} from '../options.ts';
import { renderFacet, renderHit, renderNotices } from '../render.ts';

interface SearchCliOptions extends Pick<ScanOptions, 'scan' | 'alpha'> {
  readonly index: string;
  readonly model?: string;
  readonly k: number;
  readonly offset?: number;
  readonly mode?: SearchMode;
  readonly filter?: Filter;
  readonly group?: boolean;
  readonly json?: boolean;
  readonly plain?: boolean;
  readonly sort?: FieldSort;
  readonly facet?: readonly string[];
  /** Milliseconds. */
  readonly budget?: number;
}

export const modeOption = (): Option =>
  new Option('--mode <mode>', 'ranking').choices(MODES).default(SEARCH_OPTIONS.mode.default);

export function registerSearch(program: Command): void {
  const { k, offset, alpha } = SEARCH_OPTIONS;
  program
    .command('search')
    .description('search an index')
    .argument(
      '<query...>',
      'words to search for; "exact phrase" must stand in the text, -word and -"phrase" must not (in single quotes for the shell)',
    )
    .addOption(plainOption())
    .requiredOption('--index <dir>', 'index folder')
    .option('-k, --k <n>', 'number of hits', wholeNumber(k.minimum, k.maximum), k.default)
    .option('--offset <n>', 'hits to skip', wholeNumber(offset.minimum, offset.maximum))
    .addOption(modeOption())
    .option('--filter <json>', 'only documents that match, e.g. \'{"year":{"gte":2020}}\'', jsonFilter)
    .option('--group', 'only the best passage of each document')
    .option('--sort <field[:desc]>', 'order the best 1,000 hits by a declared field', fieldSort)
    .option('--facet <field>', 'count the values of a declared field among them; repeat for more', repeated)
    .addOption(new Option('--scan <how>', 'every posting, or only blocks that can hold a hit').choices(SCANS))
    .option(
      '--alpha <share>',
      'pruned search: below 1 faster and approximate',
      number(alpha.exclusiveMinimum, alpha.maximum),
    )
    .option('--budget <ms>', 'answer with the best found after this time', number(0, 1e6))
    .addOption(indexModelOption())
    .option('--json', 'print one JSON object')
    .action(run);
}

async function run(words: string[], options: SearchCliOptions): Promise<void> {
  const { k, offset, mode, filter, group, scan, alpha, budget, sort, facet, plain } = options;
  const engine = openIndex(options.index, { readOnly: true, ...defined({ model: options.model }) });
  try {
    const result = engine.search(words.join(' '), {
      explain: true,
      ...defined({
        k,
        offset,
        mode,
        filter,
        groupByParent: group,
        scan,
        alpha,
        budgetMs: budget,
        sort,
        facets: facet,
        syntax: plain ? ('plain' as const) : undefined,
      }),
    });
    if (options.json) {
      console.log(JSON.stringify(result));
      return;
    }
    for (const line of renderNotices(result.notices)) console.log(line);
    result.hits.forEach((hit, i) => {
      console.log(renderHit(hit, (offset ?? 0) + i + 1));
    });
    for (const [field, counts] of Object.entries(result.facets ?? {}))
      console.log(renderFacet(field, counts));
    console.log(
      result.hits.length === 0
        ? 'no hits'
        : `${result.hits.length} hits in ${(result.tookUs / 1000).toFixed(2)} ms${result.complete ? '' : ', cut short by the time budget'}`,
    );
  } finally {
    await engine.close();
  }
}
