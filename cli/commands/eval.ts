import { basename, dirname, extname, isAbsolute, relative, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import pc from 'picocolors';
import { defined } from '../../defined.ts';
import { WinnowError } from '../../errors.ts';
import {
  EVALUATION_OPTIONS,
  IDENTICAL_IDS,
  type IdenticalIds,
  type SystemResult,
} from '../../evaluation/evaluate.ts';
import { type EvaluationConfig, readEvaluationConfig } from '../../evaluation/evaluation-config.ts';
import { isMetricName, type MetricName } from '../../evaluation/metrics.ts';
import { writeOutputs } from '../../evaluation/outputs.ts';
import { findRegressions, formatRegressions, readReport } from '../../evaluation/regression.ts';
import { resultRow, resultTable } from '../../evaluation/result-table.ts';
import { runEvaluationConfig } from '../../evaluation/run-config.ts';
import { OPENSEARCH_KINDS, openSearchSystems } from '../../evaluation/systems/opensearch.ts';
import { ownSystems } from '../../evaluation/systems/winnow.ts';
import { MODES } from '../../query/request.ts';
import { commit } from '../commit.ts';
import { addClusterOptions, clusterOptions, type EngineCliOptions } from '../engine.ts';
import {
  addEncoderOptions,
  type EncoderCliOptions,
  evalCacheOption,
  share,
  wholeNumber,
} from '../options.ts';
import { printable, printableLines } from '../printable.ts';
import { Progress } from '../progress.ts';

interface EvalCliOptions extends EncoderCliOptions, Pick<EngineCliOptions, 'url' | 'caFile'> {
  readonly config?: string;
  readonly data?: string;
  readonly system: readonly string[];
  readonly run?: readonly string[];
  readonly split?: string;
  readonly depth: number;
  readonly metric?: MetricName;
  readonly identicalIds?: IdenticalIds;
  readonly cache: string;
  readonly rebuild?: boolean;
  readonly json?: boolean;
  readonly report?: string;
  readonly html?: string;
  readonly markdown?: string;
  readonly csv?: string;
  readonly writeRuns?: string;
  readonly compare?: string;
  readonly tolerance?: number;
  readonly latencyFactor?: number;
}

const K = EVALUATION_OPTIONS.k;

function systems(text: string): readonly string[] {
  const names = text.split(',');
  const known: readonly string[] = [...MODES, ...OPENSEARCH_KINDS];
  if (names.some((name) => !known.includes(name)))
    throw new InvalidArgumentError(`Known systems: ${known.join(', ')}.`);
  return names;
}

const collect = (text: string, previous: readonly string[] = []): readonly string[] => [...previous, text];

function factor(text: string): number {
  const value = Number(text);
  if (!(value >= 1)) throw new InvalidArgumentError('Expected a number of at least 1.');
  return value;
}

function metric(text: string): MetricName {
  if (isMetricName(text)) return text;
  throw new InvalidArgumentError('Expected ndcg@k, recall@k, mrr, mrr@k, map, p@k or judged@k.');
}

export function registerEval(program: Command): void {
  const command = program
    .command('eval')
    .description(
      'measure retrieval quality and speed on BEIR data sets, or a grid of systems from a config file',
    )
    .argument('[dataset...]', 'BEIR folders or .zip files (corpus.jsonl, queries.jsonl, qrels/)')
    .option(
      '--config <file>',
      'data sets and systems in YAML or JSON instead of the options; see docs/evaluation.md',
    )
    .option('--data <dir>', 'folder that the data sets of the config are in')
    .option(
      '--system <names>',
      'systems, comma-separated: sparse, bm25, hybrid; with --url also opensearch-sparse and so on, opensearch-native-bm25, opensearch-neural-sparse',
      systems,
      ['sparse'],
    )
    .option('--run <file>', 'also evaluate a TREC run file; repeat for more', collect)
    .option('--split <name>', 'qrels split (default: test)')
    .option('--depth <n>', 'documents kept per query', wholeNumber(K.minimum, K.maximum), K.default as number)
    .option('--metric <name>', 'measure of tests, plots and query lists (default: ndcg@10)', metric)
    .addOption(
      new Option(
        '--identical-ids <how>',
        'hits with the id of their query: dropped where the query is that document, always, or kept (default: same-text)',
      ).choices(IDENTICAL_IDS),
    )
    .addOption(evalCacheOption())
    .option('--rebuild', 'discard the kept indexes and encode again')
    .option('--json', 'print one JSON object per data set and system')
    .option('--report <file>', 'write the whole report as JSON')
    .option('--html <file>', 'write the report as one HTML page')
    .option('--markdown <file>', 'write the tables as Markdown')
    .option('--csv <file>', 'write the tables as CSV')
    .option('--write-runs <dir>', 'write TREC run files')
    .option(
      '--compare <file>',
      'compare with a stored report; exit code 1 when a measure is worse by more than the tolerance',
    )
    .option('--tolerance <x>', 'by how much a measure may decrease (default: 0.002)', share)
    .option(
      '--latency-factor <x>',
      'how many times slower the median may get (default: not compared)',
      factor,
    );
  addEncoderOptions(addClusterOptions(command)).action((paths: readonly string[], options: EvalCliOptions) =>
    run(paths, options, (option) => command.getOptionValueSource(option) === 'cli'),
  );
}

/** @param given whether the user gave an option, as opposed to its default */
async function run(
  paths: readonly string[],
  options: EvalCliOptions,
  given: (option: string) => boolean,
): Promise<void> {
  // A stored report that cannot be read must stop the run here, not after hours of encoding.
  const stored = options.compare === undefined ? undefined : await readReport(options.compare);
  const config =
    options.config === undefined
      ? configOfOptions(paths, options)
      : await configOfFile(options.config, paths, options, given);
  const { cache, rebuild = false, model, backend, threads } = options;
  const progress = new StepProgress();
  const indexes = { cache, rebuild, ...defined({ model, backend, threads }) };
  const folder = options.config && dirname(resolve(options.config));
  const own = ownSystems({ ...indexes, ...defined({ folder }) });
  const remote = openSearchSystems(indexes, options.url && clusterOptions(options));
  const { results, report } = await runEvaluationConfig(config, {
    factoryFor: (spec) => (OPENSEARCH_KINDS.includes(spec.kind) ? remote(spec) : own(spec)),
    ...defined({ commit: commit() }),
    onProgress: ({ dataset, system, step, done, total }) =>
      progress.update(`${dataset} ${system}: ${step}`, total ? done / total : 0),
  });
  progress.done();
  if (options.json) {
    for (const result of results) console.log(JSON.stringify(resultRow(result)));
  } else {
    process.stdout.write(resultTable(results.map(withPrintableNames), pc.bold));
  }
  for (const { dataset, system, dropped } of results) {
    if (dropped.hits === 0) continue;
    const why = `${dropped.hits.toLocaleString('en')} hits were dropped as the query's own document, ${dropped.judged.toLocaleString('en')} of them judged relevant`;
    console.error(pc.yellow(printable(`${dataset} ${system}: ${why} (--identical-ids never keeps them)`)));
  }
  const { report: json, csv, html, markdown, writeRuns: runs } = options;
  await writeOutputs(report, results, defined({ json, csv, html, markdown, runs }), {
    title: config.title,
    command: commandLine(options),
  });
  if (stored) {
    const regressions = findRegressions(
      stored,
      report,
      defined({ tolerance: options.tolerance, latencyFactor: options.latencyFactor }),
    );
    if (regressions.length > 0) {
      console.error(printableLines(formatRegressions(regressions)));
      process.exitCode = 1;
    }
  }
}

const withPrintableNames = (result: SystemResult): SystemResult => ({
  ...result,
  dataset: printable(result.dataset),
  system: printable(result.system),
});

function configOfOptions(paths: readonly string[], options: EvalCliOptions): EvaluationConfig {
  if (paths.length === 0)
    throw badArgument('no data set was given', 'dataset', 'name BEIR folders or --config');
  if (options.data !== undefined)
    throw badArgument('goes with a config only', '--data', 'give the folders of the data sets themselves');
  const { split, depth, metric, identicalIds } = options;
  const runs = (options.run ?? []).map((file) => ({
    name: basename(file, extname(file)),
    kind: 'run',
    settings: { file },
  }));
  return {
    title: 'Retrieval evaluation',
    datasets: paths.map((path) => ({ path, ...defined({ split }) })),
    systems: [...options.system.map((name) => ({ name, kind: name, settings: {} })), ...runs],
    metrics: [],
    k: depth,
    ...defined({ metric, identicalIds }),
    // The texts of the hits cost a pass over the corpus: only where they are shown.
    ...(options.report === undefined && options.html === undefined ? { detailedQueries: 0 } : {}),
  };
}

async function configOfFile(
  file: string,
  paths: readonly string[],
  { data, metric, identicalIds }: EvalCliOptions,
  given: (option: string) => boolean,
): Promise<EvaluationConfig> {
  const inConfig = ['system', 'run', 'split', 'depth'].find(given);
  if (inConfig !== undefined || paths.length > 0)
    throw badArgument(
      'cannot be given together with --config',
      inConfig === undefined ? 'dataset' : `--${inConfig}`,
      'put it into the config file',
    );
  const config = await readEvaluationConfig(file, defined({ dataFolder: data }));
  return { ...config, ...defined({ metric, identicalIds }) };
}

function badArgument(message: string, place: string, hint: string): WinnowError {
  return new WinnowError('WINNOW_BAD_ARGUMENT', message, { place, hint });
}

/** How to make the Markdown page again, without the folders of this machine. */
function commandLine({ config, data, markdown }: EvalCliOptions): string {
  if (config === undefined) return 'winnow eval';
  const shown = (file: string): string => {
    const path = relative('.', file);
    return path.startsWith('..') || isAbsolute(path) ? basename(file) : path;
  };
  return [
    `winnow eval --config ${shown(config)}`,
    ...(data === undefined ? [] : ['--data DIR']),
    ...(markdown === undefined ? [] : [`--markdown ${shown(markdown)}`]),
  ].join(' ');
}

/** Progress of one step after the other; the remaining time is that of the step. */
class StepProgress {
  private step = '';
  private current = new Progress('evaluating');

  update(step: string, fraction: number): void {
    if (step !== this.step) {
      this.done();
      this.current = new Progress('evaluating');
      this.step = step;
    }
    this.current.update({ fraction, encoded: 0, note: step });
  }

  done(): void {
    this.current.done();
  }
}
