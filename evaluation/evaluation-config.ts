import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { WinnowError } from '../errors.ts';
import { badArgument, check } from '../query/check-value.ts';
import type { DatasetOptions } from './dataset.ts';
import { EVALUATION_OPTIONS, type IdenticalIds } from './evaluate.ts';
import { expandSystem, MAX_SYSTEMS, type SystemSpec } from './grid.ts';
import { isMetricName, type MetricName } from './metrics.ts';

export interface DatasetSpec extends DatasetOptions {
  /** Made absolute against the folder of the config file. */
  readonly path: string;
}

/** An evaluation as a file describes it. */
export interface EvaluationConfig {
  readonly title: string;
  readonly datasets: readonly DatasetSpec[];
  readonly systems: readonly SystemSpec[];
  readonly baseline?: string;
  readonly metric?: MetricName;
  readonly metrics: readonly MetricName[];
  readonly k?: number;
  readonly passes?: number;
  readonly complete?: boolean;
  readonly identicalIds?: IdenticalIds;
  readonly detailedQueries?: number;
}

export interface ConfigOptions {
  /** Folder that the paths of data sets start from; default the config's `data`, and without one the config's own folder. */
  readonly dataFolder?: string;
}

const TEXT = { type: 'string', minLength: 1 } as const;

const DATASET = {
  type: 'object',
  required: ['path'],
  properties: { path: TEXT, split: TEXT, topics: TEXT, qrels: TEXT, name: TEXT },
} as const;

/** Entries that are objects or short forms of them are checked one by one. */
const ENTRIES = { type: 'array', minItems: 1 } as const;

const CONFIG = {
  type: 'object',
  required: ['datasets', 'systems'],
  properties: {
    title: TEXT,
    data: TEXT,
    datasets: ENTRIES,
    systems: ENTRIES,
    baseline: TEXT,
    metric: TEXT,
    metrics: { type: 'array', items: TEXT, minItems: 1 },
    ...EVALUATION_OPTIONS,
    detailedQueries: { type: 'integer', minimum: 0 },
  },
} as const;

/** A config whose types are checked, and whose entries are not. */
interface RawConfig extends Partial<Omit<EvaluationConfig, 'datasets' | 'systems' | 'metric' | 'metrics'>> {
  readonly data?: string;
  readonly datasets: readonly unknown[];
  readonly systems: readonly unknown[];
  readonly metric?: string;
  readonly metrics?: readonly string[];
}

/**
 * Reads a YAML or JSON config. A setting with a list of values multiplies the system, so `terms: [100, 200]` with
 * `alpha: [1, 0.9]` makes four. Unknown keys are refused. Paths are relative to the config file, those of data sets to its
 * `data`. See docs/evaluation.md.
 *
 * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_BAD_ARGUMENT with the key at fault
 */
export async function readEvaluationConfig(
  file: string,
  options: ConfigOptions = {},
): Promise<EvaluationConfig> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new WinnowError('WINNOW_NOT_FOUND', 'no such config file', { place: file, cause });
  }
  return parseEvaluationConfig(text, file, options);
}

/** @param file name for messages; its folder is the one that relative paths start from */
export function parseEvaluationConfig(
  text: string,
  file: string,
  { dataFolder }: ConfigOptions = {},
): EvaluationConfig {
  try {
    return checkedConfig(parseYamlText(text), dirname(resolve(file)), dataFolder);
  } catch (error) {
    if (!(error instanceof WinnowError)) throw error;
    const { code, message, place, hint } = error;
    throw new WinnowError(code, message, {
      place: `${file}: ${place}`,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

function parseYamlText(text: string): unknown {
  try {
    return parseYaml(text, { schema: 'core', logLevel: 'error' });
  } catch (error) {
    throw badArgument('YAML', (error as Error).message.split('\n')[0]!);
  }
}

function checkedConfig(parsed: unknown, folder: string, dataFolder: string | undefined): EvaluationConfig {
  check(parsed, { type: 'object' }, 'the file');
  check(parsed, CONFIG, '');
  const { data = '.', title = 'Retrieval evaluation', metrics = [], metric, ...config } = parsed as RawConfig;
  const dataRoot = dataFolder === undefined ? resolve(folder, data) : resolve(dataFolder);
  const systems = config.systems
    .flatMap((entry, i) => expandSystem(entry, `systems[${i}]`))
    .map((spec) => withRunFile(spec, folder));
  checkNames(systems, config.baseline);
  return {
    ...config,
    ...(metric === undefined ? {} : { metric: metricName(metric) }),
    title,
    metrics: metrics.map(metricName),
    datasets: config.datasets.map((entry, i) => datasetSpec(entry, `datasets[${i}]`, dataRoot)),
    systems,
  };
}

function datasetSpec(entry: unknown, place: string, dataRoot: string): DatasetSpec {
  const fields = typeof entry === 'string' ? { path: entry } : entry;
  check(fields, DATASET, place);
  const { path, topics, qrels, ...rest } = fields as DatasetSpec;
  return {
    ...rest,
    path: resolve(dataRoot, path),
    ...(topics === undefined ? {} : { topics: resolve(dataRoot, topics) }),
    ...(qrels === undefined ? {} : { qrels: resolve(dataRoot, qrels) }),
  };
}

function checkNames(systems: readonly SystemSpec[], baseline: string | undefined): void {
  if (systems.length > MAX_SYSTEMS)
    throw badArgument(
      'systems',
      `are ${systems.length}, at most ${MAX_SYSTEMS} are allowed`,
      'shorten a list of settings',
    );
  const names = new Set<string>();
  for (const { name } of systems) {
    if (names.has(name))
      throw badArgument('systems', `hold two that are called "${name}"`, 'give each its own name');
    names.add(name);
  }
  if (baseline !== undefined && !names.has(baseline))
    throw badArgument(
      'baseline',
      `names "${baseline}", but no system is called so`,
      `the systems are ${[...names].join(', ')}`,
    );
}

function metricName(name: string): MetricName {
  if (isMetricName(name)) return name;
  throw badArgument('metrics', `hold "${name}", which is no measure`, 'for example p@10');
}

/** An imported run names its file relative to the config. */
function withRunFile(spec: SystemSpec, folder: string): SystemSpec {
  if (spec.kind !== 'run') return spec;
  const { file } = spec.settings;
  check(file, TEXT, `systems, ${spec.name}: file`);
  return { ...spec, settings: { ...spec.settings, file: resolve(folder, file as string) } };
}
