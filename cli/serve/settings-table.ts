import { MAX_SNAPSHOTS } from '../../app/snapshot-folder.ts';
import { ENCODER_BACKENDS } from '../../encoder/types.ts';
import { LIMITS } from '../../server/limits.ts';
import { LOG_LEVELS } from '../../server/server.ts';
import { ENGINES } from '../engine.ts';
import { share, wholeNumber } from '../options.ts';

/** One thing that can be set for `winnow serve`, by a flag, a variable or a line of a file. */
export interface Setting {
  /** As in the file and in programs: `bodyIdleMs` is also `--body-idle-ms` and `WINNOW_BODY_IDLE_MS`. */
  readonly name: string;
  readonly description: string;
  /** Name of the value in the help; absent for a switch, which is on or off. */
  readonly value?: string;
  /** Reads one value. @throws InvalidArgumentError */
  readonly parse?: (text: string) => unknown;
  readonly choices?: readonly string[];
  /** Several values: flags and lists of a file hold one each, variables are separated by commas. */
  readonly isList?: boolean;
  readonly default?: string | number;
  /** Value of a flag without one. */
  readonly preset?: string;
}

/** Every setting, once: flags, variables, keys of the file and docs/settings.md come from this table. */
export const SETTINGS: readonly Setting[] = [
  {
    name: 'index',
    value: 'dir',
    description:
      'index folder, created empty when missing, served as the collection "default"; with --engine opensearch, the name of an index of the cluster',
  },
  { name: 'data', value: 'dir', description: 'data folder or index folder, as the argument dir' },
  {
    name: 'engine',
    value: 'name',
    description:
      'what holds the index: a folder, or a cluster (--url); the argument dir then holds only keys',
    choices: ENGINES,
    default: 'embedded',
  },
  {
    name: 'url',
    value: 'url',
    isList: true,
    description: 'nodes of a cluster: of --engine, or one that collections of a data folder may be in',
  },
  {
    name: 'twoPhase',
    value: 'share',
    description:
      'in a cluster, query tokens below this share of the heaviest only score what the others find (default: 0, exact)',
    parse: share,
  },
  { name: 'caFile', value: 'pem', description: "authority that signed the cluster's certificate" },
  {
    name: 'imports',
    value: 'dir',
    description: 'folder that tasks may read files from (default: imports in a data folder)',
  },
  {
    name: 'port',
    value: 'n',
    description: 'port (0 = any free one)',
    parse: wholeNumber(0, 65_535),
    default: 7700,
  },
  {
    name: 'host',
    value: 'address',
    description: 'address to listen on; others than loopback need keys (winnow key create)',
    default: '127.0.0.1',
  },
  {
    name: 'readOnly',
    description: 'only search, beside another process that writes to the index',
  },
  {
    name: 'tlsCert',
    value: 'file',
    description: 'PEM file of a certificate: speak HTTPS; SIGHUP reads it again',
  },
  { name: 'tlsKey', value: 'file', description: 'PEM file of the private key of --tls-cert' },
  {
    name: 'allowHost',
    value: 'name',
    isList: true,
    description: 'host names that requests may address, besides those of loopback',
  },
  {
    name: 'allowOrigin',
    value: 'origin',
    isList: true,
    description: 'origins (https://app.example) whose pages may use the API',
  },
  {
    name: 'rateLimit',
    value: 'n',
    description: 'requests per minute and key, or address without one (default: any number)',
    parse: wholeNumber(1, 10_000_000),
  },
  {
    name: 'maxEventLoopDelayMs',
    value: 'n',
    description: 'mean delay of the event loop above which requests are answered 503; 0: never',
    parse: wholeNumber(0, 3_600_000),
    default: 2000,
  },
  {
    name: 'bodyLimit',
    value: 'bytes',
    description: 'largest JSON body; documents are streamed and have no limit',
    parse: wholeNumber(1024, 1_073_741_824),
    default: 1_048_576,
  },
  {
    name: 'bodyIdleMs',
    value: 'n',
    description: 'time in which a request body must deliver 1 KB more, or end',
    parse: wholeNumber(1, 3_600_000),
    default: LIMITS.bodyIdleMs,
  },
  {
    name: 'snapshots',
    value: 'dir',
    description: 'folder that snapshots are made in (default: snapshots in a data folder)',
  },
  {
    name: 'maxSnapshots',
    value: 'n',
    description: 'snapshots that are kept; a new one removes the oldest',
    parse: wholeNumber(1, 10_000),
    default: MAX_SNAPSHOTS,
  },
  {
    name: 'log',
    value: 'level',
    description: 'lowest level of the log lines on standard error; info logs every request',
    choices: LOG_LEVELS,
    default: 'error',
    preset: 'info',
  },
  {
    name: 'audit',
    value: 'file',
    description: 'file that a line per write is appended to (default: the log)',
  },
  { name: 'model', value: 'name', description: 'bundled model or model folder (default: winnow-mini)' },
  { name: 'backend', value: 'name', description: 'arithmetic to use', choices: ENCODER_BACKENDS },
  {
    name: 'threads',
    value: 'n',
    description: 'encoder threads (default: the cores, at most 8)',
    parse: wholeNumber(0, 64),
  },
];

const words = (name: string): string[] => name.split(/(?=[A-Z])/).map((word) => word.toLowerCase());

/** `bodyIdleMs` -> `--body-idle-ms` */
export const flagOf = ({ name }: Setting): string => `--${words(name).join('-')}`;
/** `bodyIdleMs` -> `WINNOW_BODY_IDLE_MS` */
export const variableOf = ({ name }: Setting): string => `WINNOW_${words(name).join('_').toUpperCase()}`;
/** The flag with its value, as help and commander have it. */
export function flagsOf(setting: Setting): string {
  const { value, isList, preset } = setting;
  if (value === undefined) return flagOf(setting);
  const shown = isList ? `${value}...` : value;
  return `${flagOf(setting)} ${preset === undefined ? `<${shown}>` : `[${shown}]`}`;
}
