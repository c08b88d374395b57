import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../../durable-files.ts';
import { WinnowError } from '../../errors.ts';
import { exclusively } from '../../indexer/store/exclusive-file.ts';
import { makeFolder } from '../../indexer/store/files.ts';
import { withStorageErrors } from '../../indexer/store/storage-errors.ts';

/** `admin` includes the others; `write` does not include `read`, so that a program that only adds documents cannot search them. */
export const SCOPES = ['read', 'write', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** A key as it is stored: without its secret. */
export interface StoredKey {
  /** Eight hexadecimal digits: what logs and `winnow key revoke` name it by. */
  readonly id: string;
  /** What people call it. */
  readonly name?: string;
  readonly scopes: readonly Scope[];
  /** Names, as requests use them, of the collections that it is limited to. Absent: all, and what belongs to none. */
  readonly collections?: readonly string[];
  /** SHA-256 of the secret, hexadecimal. */
  readonly hash: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly expiresAt?: string;
  readonly revokedAt?: string;
}

type KeyState = 'valid' | 'expired' | 'revoked';

/** The file of keys in a data folder. */
export const keyFileOf = (folder: string): string => join(folder, 'keys.json');

/** `wk_ID_SECRET`: an id of 32 bits, a secret of 256. */
const TOKEN = /^wk_([0-9a-f]{8})_([A-Za-z0-9_-]{43})$/;

/**
 * A fast hash is enough, and slow ones for passwords would only cost time at every request: a secret of 256 random bits cannot be guessed,
 * so that nobody who has its hash can try candidates.
 */
const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** No key has it: compared with where there is no key of an id, so that both cases take the same time. */
const NO_HASH = hashOf(randomBytes(32).toString('base64url'));

/** @returns the stored key that a token belongs to and is not checked further; undefined for any other text */
export function keyOfToken(keys: readonly StoredKey[], token: string): StoredKey | undefined {
  const [, id, secret = ''] = TOKEN.exec(token) ?? [];
  const key = keys.find((one) => one.id === id);
  const isSame = timingSafeEqual(
    Buffer.from(hashOf(secret), 'hex'),
    Buffer.from(key?.hash ?? NO_HASH, 'hex'),
  );
  return isSame ? key : undefined;
}

export function stateOf(
  { revokedAt, expiresAt }: Pick<StoredKey, 'revokedAt' | 'expiresAt'>,
  now = Date.now(),
): KeyState {
  if (revokedAt !== undefined) return 'revoked';
  return expiresAt !== undefined && Date.parse(expiresAt) <= now ? 'expired' : 'valid';
}

/** Keys in the order in which they were made; none where there is no file. @throws WinnowError WINNOW_BAD_ARGUMENT for a damaged file */
export function readKeys(file: string): StoredKey[] {
  if (!existsSync(file)) return [];
  try {
    const { version, keys } = JSON.parse(readFileSync(file, 'utf8')) as {
      version: unknown;
      keys: StoredKey[];
    };
    if (version === 1 && Array.isArray(keys) && keys.every(isStoredKey)) return keys;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw withPlace(error, file);
  }
  throw new WinnowError('WINNOW_BAD_ARGUMENT', 'this is no file of keys', {
    place: file,
    hint: 'put back a copy, or remove it and make new keys: winnow key create',
  });
}

const withPlace = (error: unknown, file: string): WinnowError =>
  new WinnowError('WINNOW_STORAGE', `the keys cannot be read: ${(error as Error).message}`, {
    place: file,
    cause: error,
  });

function isStoredKey(key: Partial<StoredKey>): boolean {
  const isList = (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === 'string');
  const isDate = (value: unknown) => value === undefined || !Number.isNaN(Date.parse(value as string));
  return (
    /^[0-9a-f]{8}$/.test(key.id ?? '') &&
    /^[0-9a-f]{64}$/.test(key.hash ?? '') &&
    isList(key.scopes) &&
    (key.collections === undefined || isList(key.collections)) &&
    isDate(key.expiresAt) &&
    isDate(key.revokedAt)
  );
}

interface NewKey {
  readonly name?: string;
  /** One or more. */
  readonly scopes: readonly Scope[];
  readonly collections?: readonly string[];
  readonly expiresAt?: string;
}

/**
 * Makes a key and stores what recognises it. A running server accepts it with its next request.
 *
 * @param folder made where it is missing
 * @returns the token, which cannot be had again
 * @throws WinnowError WINNOW_STORAGE, WINNOW_BAD_ARGUMENT for a damaged file
 */
export function createKey(
  folder: string,
  wanted: NewKey,
): { readonly token: string; readonly key: StoredKey } {
  makeFolder(folder);
  const secret = randomBytes(32).toString('base64url');
  const id = randomBytes(4).toString('hex');
  const key: StoredKey = { id, ...wanted, hash: hashOf(secret), createdAt: new Date().toISOString() };
  changeKeys(keyFileOf(folder), (keys) => [...keys, key]);
  return { token: `wk_${id}_${secret}`, key };
}

/**
 * Ends a key. It stays in the file, so that logs that name it can be read.
 *
 * @throws WinnowError WINNOW_NOT_FOUND, and what {@link createKey} throws
 */
export function revokeKey(folder: string, id: string): StoredKey {
  const file = keyFileOf(folder);
  let revoked: StoredKey | undefined;
  if (readKeys(file).some((key) => key.id === id))
    changeKeys(file, (keys) =>
      keys.map((key) => {
        if (key.id !== id) return key;
        revoked = { ...key, revokedAt: key.revokedAt ?? new Date().toISOString() };
        return revoked;
      }),
    );
  if (revoked) return revoked;
  throw new WinnowError('WINNOW_NOT_FOUND', `no key ${JSON.stringify(id)}`, {
    place: 'id',
    hint: 'see: winnow key list',
  });
}

/** The file is replaced as a whole and is for its owner alone. */
function changeKeys(file: string, change: (keys: readonly StoredKey[]) => readonly StoredKey[]): void {
  withStorageErrors(file, () =>
    exclusively(`${file}.guard`, () => {
      const keys = change(readKeys(file));
      replaceFile(file, `${JSON.stringify({ version: 1, keys }, undefined, 2)}\n`, 0o600);
    }),
  );
}
