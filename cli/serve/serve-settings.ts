import type { Command } from 'commander';
import { defined } from '../../defined.ts';
import type { EncoderBackend } from '../../encoder/types.ts';
import { WinnowError } from '../../errors.ts';
import { KeyRing } from '../../server/keys/key-ring.ts';
import type { LogLevel } from '../../server/server.ts';
import type { TlsFiles } from '../../server/tls.ts';
import { clusterOptions, type EngineCliOptions, type RemoteOptions } from '../engine.ts';
import { settingsOf } from './settings.ts';

/** The settings of `settings-table.ts` with their types. */
interface NamedSettings {
  readonly index?: string;
  readonly engine: EngineCliOptions['engine'];
  readonly url?: readonly string[];
  readonly caFile?: string;
  readonly twoPhase?: number;
  readonly data?: string;
  readonly imports?: string;
  readonly port: number;
  readonly host: string;
  readonly readOnly?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly allowHost?: readonly string[];
  readonly allowOrigin?: readonly string[];
  readonly rateLimit?: number;
  readonly maxEventLoopDelayMs: number;
  readonly bodyLimit: number;
  readonly bodyIdleMs: number;
  readonly snapshots?: string;
  readonly maxSnapshots: number;
  readonly log: LogLevel;
  readonly audit?: string;
  readonly model?: string;
  readonly backend?: EncoderBackend;
  readonly threads?: number;
}

export interface ServeSettings
  extends Omit<
    NamedSettings,
    'tlsCert' | 'tlsKey' | 'index' | 'data' | 'engine' | 'url' | 'caFile' | 'twoPhase'
  > {
  /** How a cluster is reached: that of {@link remoteIndex}, or one that collections may be in. */
  readonly cluster?: RemoteOptions;
  /** Name of the index of the cluster that is served. Absent: the folder holds the index or the collections. */
  readonly remoteIndex?: string;
  readonly folder: string;
  /** It is an index folder, also where it is empty. */
  readonly isIndex: boolean;
  readonly tls?: TlsFiles;
}

/** @param given the folder that the command line names @throws WinnowError WINNOW_BAD_ARGUMENT */
export function serveSettings(command: Command, given?: string): ServeSettings {
  const { tlsCert, tlsKey, index, data, engine, url, caFile, twoPhase, ...named } = settingsOf(
    command,
    process.env,
  ) as unknown as NamedSettings;
  const isRemote = engine === 'opensearch';
  if (isRemote && index === undefined)
    throw badSetting('index', 'the name of an index of the cluster is missing', 'name it: --index NAME');
  const folders = [given, isRemote ? undefined : index, data].filter((one) => one !== undefined);
  const [folder] = folders;
  if (folder === undefined || folders.length > 1)
    throw badSetting(
      'dir',
      folder === undefined ? 'the folder is missing' : 'one folder is served',
      'name it: winnow serve DIR, with a data folder, an index folder or a new one',
    );
  const settings = {
    ...named,
    folder,
    isIndex: index !== undefined,
    ...(url || isRemote ? { cluster: clusterOptions(defined({ url, caFile, twoPhase })) } : {}),
    ...(isRemote ? { remoteIndex: index! } : {}),
  };
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw badSetting(
      tlsCert ? 'tlsKey' : 'tlsCert',
      'TLS needs a certificate and its key',
      'give both files',
    );
  if (tlsCert === undefined || tlsKey === undefined) return settings;
  return { ...settings, tls: { cert: tlsCert, key: tlsKey } };
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/;

/**
 * Whoever reaches the port may otherwise read and change everything.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT for an address of the network without a usable key
 */
export function requireKeysFor(host: string, keyFile: string): void {
  if (LOOPBACK.test(host) || new KeyRing(keyFile).hasValid) return;
  throw badSetting(
    'host',
    `${host} is reachable from other machines, and there is no usable key`,
    'make one first: winnow key create --data DIR --scope admin',
  );
}

const badSetting = (place: string, message: string, hint: string): WinnowError =>
  new WinnowError('WINNOW_BAD_ARGUMENT', message, { place, hint });
