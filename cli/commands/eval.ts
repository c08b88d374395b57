import { writeFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import pc from 'picocolors';
import { openDataset } from '../../evaluation/dataset.ts';
import { evaluate, type SystemResult } from '../../evaluation/evaluate.ts';
import { findRegressions, formatRegressions, readReport } from '../../evaluation/regression.ts';
import { buildReport } from '../../evaluation/report.ts';
import { resultCsv, resultRow, resultTable } from '../../evaluation/result-table.ts';
import { writeTrecRun } from '../../evaluation/trec.ts';
import { trecRunSystem } from '../../evaluation/trec-system.ts';
import type { SearchMode } from '../../query/searcher.ts';
import { commit } from '../commit.ts';
import { defaultEvalCache, ownSystem } from '../eval-systems.ts';
import { addEncoderOptions, defined, type EncoderCliOptions, wholeNumber } from '../options.ts';
import { Progress } from '../progress.ts';

interface EvalCliOptions extends EncoderCliOptions {
  readonly system: readonly string[];
  readonly run?: readonly string[];
  readonly split?: string;
  readonly cache: string;
  readonly fresh?: boolean;
  readonly depth: number;
  readonly json?: boolean;
  readonly csv?: string;
  readonly report?: string;
  readonly writeRuns?: string;
  readonly compare?: string;
  readonly tolerance?: number;
}

const OWN_SYSTEMS: readonly SearchMode[] = ['sparse', 'bm25', 'hybrid'];

function systems(text: string): readonly string[] {
  const names = text.split(',');
  const unknown = names.find((name) => !(OWN_SYSTEMS as readonly string[]).includes(name));
  if (unknown !== undefined) throw new InvalidArgumentError(`Known systems: ${OWN_SYSTEMS.join(', ')}.`);
  return names;
}

const collect = (text: string, previous: readonly string[] = []): readonly string[] => [...previous, text];

function share(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError('Expected a number from 0 to 1.');
  return value;
}

export function registerEval(program: Command): void {
  const command = program
    .command('eval')
    .description('measure retrieval quality and speed on BEIR folders')
    .argument('<dataset...>', 'BEIR folders (corpus.jsonl, queries.jsonl, qrels/)')
    .option('--system <names>', 'systems, comma-separated: sparse, bm25, hybrid', systems, ['sparse'])
    .option('--run <file>', 'also evaluate a TREC run file; repeat for more', collect)
    .option('--split <name>', 'qrels split', 'test')
    .option('--depth <n>', 'documents kept a query', wholeNumber(1, 10_000), 1000)
    .option('--cache <dir>', 'where the indexes of evaluated sets are kept', defaultEvalCache())
    .option('--fresh', 'encode again')
    .option('--json', 'print one JSON object a data set and system')
    .option('--csv <file>', 'write a table')
    .option('--report <file>', 'write the whole report as JSON')
    .option('--write-runs <dir>', 'write TREC run files')
    .option('--compare <file>', 'compare with a stored report; exit code 1 past the tolerance')
    .option('--tolerance <x>', 'how far a measure may fall', share);
  addEncoderOptions(command).action(run);
}

async function run(paths: readonly string[], options: EvalCliOptions): Promise<void> {
  const { split, cache, fresh = false } = options;
  const datasets = await Promise.all(
    paths.map((path) => openDataset(path, split === undefined ? {} : { split })),
  );
  const factories = [
    ...options.system.map((name) => ownSystem(name as SearchMode, { ...options, cache, fresh })),
    ...(options.run ?? []).map((file) => trecRunSystem(basename(file, extname(file)), file)),
  ];
  const progress = new Progress('evaluating');
  const results: SystemResult[] = await evaluate(datasets, factories, {
    k: options.depth,
    onProgress: ({ dataset, system, step, done, total }) =>
      progress.update({
        fraction: total ? done / total : 0,
        encoded: 0,
        note: `${dataset} ${system}: ${step}`,
      }),
    onResult: async (result) => {
      if (options.writeRuns) {
        await writeTrecRun(
          `${options.writeRuns}/${result.dataset}.${result.system}.trec`,
          result.run,
          result.system,
        );
      }
    },
  });
  progress.done();
  if (options.json) {
    for (const result of results) console.log(JSON.stringify(resultRow(result)));
  } else {
    process.stdout.write(resultTable(results, pc.bold));
  }
  if (options.csv) await writeFile(options.csv, resultCsv(results));
  if (options.report || options.compare) {
    const report = await buildReport(results, datasets, defined({ commit: commit() }));
    if (options.report) await writeFile(options.report, `${JSON.stringify(report, null, 1)}\n`);
    if (options.compare) {
      const stored = await readReport(options.compare);
      const { tolerance } = options;
      const regressions = findRegressions(stored, report, tolerance === undefined ? {} : { tolerance });
      if (regressions.length > 0) {
        console.error(formatRegressions(regressions));
        process.exitCode = 1;
      }
    }
  }
}
