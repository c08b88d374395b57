import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { WinnowError } from '../errors.ts';
import type { DatasetOptions } from './dataset.ts';
import { IDENTICAL_IDS, type IdenticalIds } from './evaluate.ts';
import { isMetricName, type MetricName } from './metrics.ts';

/** One value of a system's setting. */
export type Setting = string | number | boolean;

/** A system of the grid with one value for each setting; a factory for it is the caller's business. */
export interface SystemSpec {
  /** Unique: the name given, or kind and the settings that vary, e.g. `sparse alpha=0.9`. */
  readonly name: string;
  /** What to build, e.g. `sparse`, `bm25`, `hybrid`, `rerank`, or `run` for an imported TREC run. */
  readonly kind: string;
  readonly settings: Readonly<Record<string, Setting>>;
}

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

/** More systems than this are a mistake in a list of settings. */
const MOST_SYSTEMS = 200;

const TOP_KEYS =
  'title data datasets systems baseline metric metrics k passes complete identicalIds detailedQueries'.split(
    ' ',
  );
const DATASET_KEYS = 'path split topics qrels name'.split(' ');

/**
 * Reads a YAML or JSON config. A setting with a list of values multiplies the system, so `terms: [100, 200]` with
 * `alpha: [1, 0.9]` makes four. Unknown keys are refused, paths are relative to the config file, those of data sets to its `data`. See docs/evaluation.md.
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

/** @param file name for messages; its folder is what relative paths start from */
export function parseEvaluationConfig(
  text: string,
  file: string,
  { dataFolder }: ConfigOptions = {},
): EvaluationConfig {
  const fail = (message: string, key: string, hint?: string): never => {
    throw new WinnowError('WINNOW_BAD_ARGUMENT', message, {
      place: `${file}: ${key}`,
      ...(hint === undefined ? {} : { hint }),
    });
  };
  let config: unknown;
  try {
    config = parseYaml(text, { schema: 'core', logLevel: 'error' });
  } catch (error) {
    return fail((error as Error).message.split('\n')[0]!, 'YAML');
  }
  const top = object(config, 'the file', fail);
  knownKeys(top, TOP_KEYS, '', fail);
  const folder = dirname(resolve(file));
  if (top.data !== undefined && typeof top.data !== 'string') fail('must be a string', 'data');
  const data = dataFolder === undefined ? resolve(folder, (top.data as string) ?? '.') : resolve(dataFolder);

  const datasets = list(top.datasets, 'datasets', fail).map((entry, i): DatasetSpec => {
    const key = `datasets[${i}]`;
    if (typeof entry === 'string') return { path: resolve(data, entry) };
    const fields = object(entry, key, fail);
    knownKeys(fields, DATASET_KEYS, `${key}.`, fail);
    const strings = Object.entries(fields).map(([name, value]) =>
      typeof value === 'string' ? [name, value] : fail('must be a string', `${key}.${name}`),
    );
    const { path, topics, qrels, ...rest } = Object.fromEntries(strings) as Record<string, string>;
    if (path === undefined) return fail('a data set needs a path', key);
    return {
      ...rest,
      path: resolve(data, path),
      ...(topics === undefined ? {} : { topics: resolve(data, topics) }),
      ...(qrels === undefined ? {} : { qrels: resolve(data, qrels) }),
    };
  });

  const systems = list(top.systems, 'systems', fail)
    .flatMap((entry, i) => expandSystem(entry, `systems[${i}]`, fail))
    .map((spec) => withRunFile(spec, folder, fail));
  if (systems.length > MOST_SYSTEMS)
    fail(
      `${systems.length} systems, at most ${MOST_SYSTEMS} are allowed`,
      'systems',
      'shorten a list of settings',
    );
  const names = new Set<string>();
  for (const { name } of systems) {
    if (names.has(name)) fail(`two systems are called "${name}"`, 'systems', 'give each its own name');
    names.add(name);
  }

  const metrics = top.metrics === undefined ? [] : list(top.metrics, 'metrics', fail);
  for (const name of [...metrics, ...(top.metric === undefined ? [] : [top.metric])])
    if (typeof name !== 'string' || !isMetricName(name))
      fail(`"${name}" is no measure`, 'metrics', 'for example p@10');
  if (top.baseline !== undefined && !names.has(top.baseline as string))
    fail(`no system is called "${top.baseline}"`, 'baseline', `the systems are ${[...names].join(', ')}`);
  for (const key of ['k', 'passes', 'detailedQueries'])
    if (top[key] !== undefined && !Number.isInteger(top[key])) fail('must be an integer', key);
  if (top.complete !== undefined && typeof top.complete !== 'boolean')
    fail('must be true or false', 'complete');
  if (top.identicalIds !== undefined && !(IDENTICAL_IDS as readonly unknown[]).includes(top.identicalIds))
    fail(`must be one of ${IDENTICAL_IDS.join(', ')}`, 'identicalIds');
  if (top.title !== undefined && typeof top.title !== 'string') fail('must be a string', 'title');

  const {
    title = 'Retrieval evaluation',
    baseline,
    metric,
    k,
    passes,
    complete,
    identicalIds,
    detailedQueries,
  } = top;
  const optional = Object.entries({ baseline, metric, k, passes, complete, identicalIds, detailedQueries });
  return {
    ...Object.fromEntries(optional.filter(([, value]) => value !== undefined)),
    title: title as string,
    datasets,
    systems,
    metrics: metrics as MetricName[],
  };
}

type Fail = (message: string, key: string, hint?: string) => never;

function object(value: unknown, key: string, fail: Fail): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  return fail('must hold names and values', key);
}

function list(value: unknown, key: string, fail: Fail): unknown[] {
  return Array.isArray(value) && value.length > 0
    ? value
    : fail('must be a list with at least one entry', key);
}

function knownKeys(
  fields: Record<string, unknown>,
  known: readonly string[],
  prefix: string,
  fail: Fail,
): void {
  for (const name of Object.keys(fields))
    if (!known.includes(name)) fail('unknown key', `${prefix}${name}`, `the keys are ${known.join(', ')}`);
}

/** An imported run names its file relative to the config. */
function withRunFile(spec: SystemSpec, folder: string, fail: Fail): SystemSpec {
  if (spec.kind !== 'run') return spec;
  const { file } = spec.settings;
  if (typeof file !== 'string') return fail('an imported run needs a file', `systems, ${spec.name}: file`);
  return { ...spec, settings: { ...spec.settings, file: resolve(folder, file) } };
}

/** One system for each combination of the listed settings, in the order that nested loops would give. */
function expandSystem(entry: unknown, key: string, fail: Fail): SystemSpec[] {
  if (typeof entry === 'string') return [{ name: entry, kind: entry, settings: {} }];
  const { kind, name, ...settings } = object(entry, key, fail);
  if (typeof kind !== 'string' || kind === '') return fail('a system needs a kind', `${key}.kind`);
  if (name !== undefined && (typeof name !== 'string' || name === ''))
    return fail('must be a string', `${key}.name`);
  let combinations: Record<string, Setting>[] = [{}];
  const varying: string[] = [];
  for (const [setting, value] of Object.entries(settings)) {
    const values = Array.isArray(value) ? list(value, `${key}.${setting}`, fail) : [value];
    for (const one of values)
      if (!['string', 'number', 'boolean'].includes(typeof one))
        fail('must be text, a number, true or false, or a list of them', `${key}.${setting}`);
    if (values.length > 1) varying.push(setting);
    combinations = combinations.flatMap((chosen) =>
      values.map((one) => ({ ...chosen, [setting]: one as Setting })),
    );
    if (combinations.length > MOST_SYSTEMS)
      fail(`more than ${MOST_SYSTEMS} systems`, key, 'shorten a list of settings');
  }
  return combinations.map((chosen) => ({
    name: [name ?? kind, ...varying.map((setting) => `${setting}=${chosen[setting]}`)].join(' '),
    kind,
    settings: chosen,
  }));
}
