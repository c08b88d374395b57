import { statSync } from 'node:fs';
import { keyOfToken, readKeys, type StoredKey, stateOf } from './key-file.ts';

/**
 * The keys of a running server. The file is read again when it has changed, so that a key that is made or revoked counts from the next
 * request on.
 */
export class KeyRing {
  private readonly file: string;
  private keys: readonly StoredKey[] = [];
  private version: string | undefined;
  private everHadKeys = false;

  /** @throws WinnowError WINNOW_BAD_ARGUMENT for a damaged file */
  constructor(file: string) {
    this.file = file;
    this.refresh();
  }

  /**
   * Whether requests need a key: from the first key on, whatever becomes of it. A file that is removed under a server opens nothing.
   *
   * @throws WinnowError for a file that cannot be read
   */
  get isRequired(): boolean {
    this.refresh();
    return this.everHadKeys;
  }

  /** Whether any key would be accepted. */
  get hasValid(): boolean {
    this.refresh();
    return this.keys.some((key) => stateOf(key) === 'valid');
  }

  /** The valid key of a token. */
  find(token: string): StoredKey | undefined {
    const key = keyOfToken(this.keys, token);
    return key && stateOf(key) === 'valid' ? key : undefined;
  }

  private refresh(): void {
    const stats = statSync(this.file, { throwIfNoEntry: false, bigint: true });
    const version = stats && `${stats.ino} ${stats.mtimeNs} ${stats.size}`;
    if (version === this.version) return;
    this.keys = []; // in case of an error: no key is better than an old one
    this.everHadKeys ||= version !== undefined;
    this.keys = readKeys(this.file);
    this.version = version;
  }
}
