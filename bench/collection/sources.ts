import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** A source of the benchmark collection: what sources.yaml says of it. */
export interface CollectionSource {
  readonly name: string;
  readonly licence: string;
  /** How the files of the Debian packages are read. */
  readonly read?: 'rfc' | 'manual' | 'files' | 'descriptions';
  /** Names of Debian packages. */
  readonly debian?: readonly string[];
  /** Files under the folder of texts, `.txt.xz` or `.jsonl.xz`. */
  readonly text?: readonly string[];
  /** Passages that are taken at most. */
  readonly most?: number;
}

/** @returns the sources of the manifest beside this file */
export function collectionSources(): CollectionSource[] {
  return parse(readFileSync(new URL('sources.yaml', import.meta.url), 'utf8'));
}
