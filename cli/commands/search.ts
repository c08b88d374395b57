import { type Command, Option } from 'commander';
import { defined } from '../../defined.ts';
import {
  type FieldSort,
  type Filter,
  MODES,
  SCANS,
  type ScanOptions,
  SEARCH_OPTIONS,
  type SearchMode,
  type SearchOptions,
  STAGES,
} from '../../query/request.ts';
import type { SearchResponse } from '../../query/response.ts';
import { addEngineOptions, addTwoPhaseOption, type EngineCliOptions, openEngine } from '../engine.ts';
import {
  fieldSort,
  indexModelOption,
  jsonFilter,
  number,
  plainOption,
  repeated,
  share,
  wholeNumber,
} from '../options.ts';
import { renderFacet, renderHit, renderNotices } from '../render.ts';

interface SearchCliOptions extends EngineCliOptions, Pick<ScanOptions, 'scan' | 'alpha'> {
  readonly model?: string;
  readonly k: number;
  readonly offset?: number;
  readonly mode?: SearchMode;
  readonly filter?: Filter;
  readonly group?: boolean;
  readonly json?: boolean;
  readonly plain?: boolean;
  readonly rerank?: SearchOptions['rerank'];
  readonly rerankDepth?: number;
  readonly minRelevance?: number;
  readonly reranker?: string;
  readonly sort?: FieldSort;
  readonly facet?: readonly string[];
  readonly total?: boolean;
  /** Milliseconds. */
  readonly budget?: number;
}

export const modeOption = (): Option =>
  new Option('--mode <mode>', 'ranking (default: sparse, bm25 for an index of words alone)').choices(MODES);

const countOf = ({ hits, total }: SearchResponse): string =>
  total === undefined ? `${hits.length} hits` : `${hits.length} of ${total.toLocaleString('en')} hits`;

export function registerSearch(program: Command): void {
  const { k, offset, alpha, rankDepth, rerankDepth } = SEARCH_OPTIONS;
  const command = addEngineOptions(
    program
      .command('search')
      .description('search an index, and show the hits with snippets and the words that matched')
      .argument(
        '<query...>',
        'what to search for; "exact phrase" must be in the text, -word and -"phrase" must not (quote for the shell)',
      )
      .addOption(plainOption())
      .requiredOption('--index <dir>', 'index folder, or name of an index of a cluster'),
  );
  addTwoPhaseOption(command)
    .option('-k, --k <n>', 'number of hits', wholeNumber(k.minimum, k.maximum), k.default)
    .option('--offset <n>', 'hits to skip', wholeNumber(offset.minimum, offset.maximum))
    .addOption(modeOption())
    .option('--filter <json>', 'only documents that match, e.g. \'{"year":{"gte":2020}}\'', jsonFilter)
    .option('--group', 'only the best passage of each document')
    .option(
      '--sort <field[:desc]>',
      `order the best ${rankDepth.default} hits by a declared field`,
      fieldSort,
    )
    .option('--facet <field>', 'count the values of a declared field among them; repeat for more', repeated)
    .option('--total', 'count all documents that match')
    .addOption(new Option('--scan <how>', 'every posting, or only blocks that can hold a hit').choices(SCANS))
    .option(
      '--alpha <share>',
      'pruned search: values below 1 are faster and approximate',
      number(alpha.exclusiveMinimum, alpha.maximum),
    )
    .option('--budget <ms>', 'after this time, answer with the best hits found so far', number(0, 1e6))
    .addOption(
      new Option(
        '--rerank [stage]',
        'reorder the best hits: by vectors, by a cross-encoder, or (no stage named) by all that there is',
      ).choices(STAGES),
    )
    .option(
      '--rerank-depth <n>',
      'hits to rerank (default: what the model recommends)',
      wholeNumber(rerankDepth.minimum, rerankDepth.maximum),
    )
    .option('--min-relevance <share>', 'leave out hits that the reranker judges below this, 0 to 1', share)
    .option('--reranker <name>', 'bundled reranker or folder of a cross-encoder')
    .addOption(indexModelOption())
    .option('--json', 'print one JSON object')
    .action(run);
}

async function run(words: string[], options: SearchCliOptions): Promise<void> {
  const { k, offset, mode, filter, group, scan, alpha, budget, sort, facet, total, plain } = options;
  const { model, reranker, rerank, rerankDepth, minRelevance } = options;
  const index = await openEngine(options, { readOnly: true, ...defined({ model, reranker }) });
  try {
    const result = await index.search(words.join(' '), {
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
        total,
        syntax: plain ? ('plain' as const) : undefined,
        rerank,
        rerankDepth,
        minRelevance,
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
        : `${countOf(result)} in ${(result.tookUs / 1000).toFixed(2)} ms${result.complete ? '' : ', ended early'}`,
    );
  } finally {
    await index.close();
  }
}
