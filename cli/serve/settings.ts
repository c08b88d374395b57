import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parse as parseYaml } from 'yaml';
import { WinnowError } from '../../errors.ts';
import { nearest } from '../../server/nearest.ts';
import { flagsOf, SETTINGS, type Setting, variableOf } from './settings-table.ts';

/** Values by name of their setting. */
type Values = Readonly<Record<string, unknown>>;

/** Gives a command a flag per setting, and `--config`. */
export function addSettings(command: Command): Command {
  for (const setting of SETTINGS) {
    const { description, parse, choices, isList, preset, default: value } = setting;
    const option = new Option(flagsOf(setting), description);
    if (choices) option.choices(choices);
    else if (parse && !isList) option.argParser(parse);
    if (preset !== undefined) option.preset(preset);
    // Shown by the help. What was not given is found by its source.
    if (value !== undefined) option.default(value);
    command.addOption(option);
  }
  return command.option('--config <file>', 'YAML file of settings; flags and WINNOW_ variables overrule it');
}

/**
 * The settings of a run: flags overrule variables, which overrule the file, which overrules defaults.
 *
 * @param command whose flags were read
 * @throws WinnowError WINNOW_BAD_ARGUMENT naming the variable, or file and key, that is unknown or has no allowed value
 */
export function settingsOf(command: Command, environment: NodeJS.ProcessEnv): Values {
  const given = (name: string) => command.getOptionValueSource(name) === 'cli';
  const flags = Object.fromEntries(
    SETTINGS.filter(({ name }) => given(name)).map(({ name }) => [name, command.getOptionValue(name)]),
  );
  const config = command.getOptionValue('config') as string | undefined;
  const defaults = SETTINGS.flatMap(({ name, default: value }) =>
    value === undefined ? [] : [[name, value]],
  );
  const variables = fromEnvironment(environment);
  const file = config ?? environment.WINNOW_CONFIG;
  return { ...Object.fromEntries(defaults), ...(file ? fromFile(file) : {}), ...variables, ...flags };
}

/** Variables of Winnow that are no settings of the server. */
const OTHER_VARIABLES = [
  'WINNOW_CONFIG',
  'WINNOW_KERNELS',
  'WINNOW_CPU',
  'WINNOW_KERNELS_BUILD',
  'WINNOW_CFLAGS',
  'WINNOW_EVAL_DATA',
  'WINNOW_OPENSEARCH_USER',
  'WINNOW_OPENSEARCH_PASSWORD',
  'WINNOW_OPENSEARCH_API_KEY',
  // Of the tests.
  'WINNOW_OPENSEARCH_URL',
  'WINNOW_OPENSEARCH_START',
  'WINNOW_PYTHON',
  'WINNOW_PAGES',
];

const isOfTests = (name: string): boolean => /^WINNOW_(TEST|BENCH)_/.test(name);

/** Kubernetes gives every container such variables for a service that is called "winnow". */
const isServiceLink = (name: string, value: string): boolean =>
  /^WINNOW_(SERVICE_|PORT_\d)/.test(name) || (name === 'WINNOW_PORT' && value.startsWith('tcp://'));

function fromEnvironment(environment: NodeJS.ProcessEnv): Values {
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('WINNOW_') || value === undefined || value === '') continue;
    if (OTHER_VARIABLES.includes(name) || isOfTests(name) || isServiceLink(name, value)) continue;
    const setting = SETTINGS.find((one) => variableOf(one) === name);
    if (!setting) throw unknown(`environment variable ${name}`, name, SETTINGS.map(variableOf));
    const texts = setting.isList ? value.split(',').map((one) => one.trim()) : value;
    values[setting.name] = read(setting, texts, `environment variable ${name}`);
  }
  return values;
}

function fromFile(file: string): Values {
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(readConfig(file))) {
    const setting = SETTINGS.find((one) => one.name === name);
    if (!setting)
      throw unknown(
        `${file}: ${name}`,
        name,
        SETTINGS.map((one) => one.name),
      );
    values[name] = read(setting, value, `${file}: ${name}`);
  }
  return values;
}

function readConfig(file: string): object {
  let content: unknown;
  try {
    content = parseYaml(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new WinnowError('WINNOW_BAD_ARGUMENT', `the settings cannot be read: ${(cause as Error).message}`, {
      place: file,
      cause,
    });
  }
  if (content === null || content === undefined) return {};
  if (typeof content === 'object' && !Array.isArray(content)) return content;
  throw new WinnowError('WINNOW_BAD_ARGUMENT', 'settings are written as "name: value", one per line', {
    place: file,
    hint: 'see docs/settings.md',
  });
}

function unknown(place: string, name: string, names: readonly string[]): WinnowError {
  const similar = nearest(name, names);
  return new WinnowError('WINNOW_BAD_ARGUMENT', `there is no setting ${name}`, {
    place,
    hint: similar ? `did you mean ${similar}?` : 'see docs/settings.md',
  });
}

/** @param value a text of the environment, or what YAML has made of it */
function read(setting: Setting, value: unknown, place: string): unknown {
  const { isList, choices, parse } = setting;
  try {
    if (setting.value === undefined) return readSwitch(value);
    if (isList) return (Array.isArray(value) ? value : [value]).map(text);
    const one = text(value);
    if (choices && !choices.includes(one)) throw new InvalidArgumentError(`Expected ${choices.join(', ')}.`);
    return parse ? parse(one) : one;
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new WinnowError('WINNOW_BAD_ARGUMENT', `${JSON.stringify(value)} is not allowed`, {
      place,
      hint: error.message,
    });
  }
}

function readSwitch(value: unknown): boolean {
  if (value === true || value === 'true' || value === '1') return true;
  if (value === false || value === 'false' || value === '0') return false;
  throw new InvalidArgumentError('Expected true or false.');
}

function text(value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  if (typeof value === 'number') return String(value);
  throw new InvalidArgumentError('Expected one value.');
}
