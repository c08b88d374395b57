import { createHash } from 'node:crypto';
import { WinnowError } from '../errors.ts';
import type { Metadata } from './types.ts';

/**
 * 32 hexadecimal digits (128 bits of SHA-256) over title, text and metadata, whatever the order of names in the metadata.
 * The id is left out: a document that only moved to another name has the same content.
 *
 * @throws WinnowError WINNOW_BAD_ROW for metadata that is no JSON
 */
export function contentHash({
  title = '',
  text,
  metadata = {},
}: {
  readonly title?: string;
  readonly text: string;
  readonly metadata?: Metadata;
}): string {
  let content: string;
  try {
    const names = Object.keys(metadata).sort();
    content = JSON.stringify([title, text, names.map((name) => [name, ordered(metadata[name])])]);
  } catch (cause) {
    throw new WinnowError('WINNOW_BAD_ROW', `the metadata is no JSON: ${(cause as Error).message}`, {
      place: 'metadata',
      cause,
    });
  }
  return createHash('sha256').update(content).digest('hex').slice(0, 32);
}

/** The same value with the names of all its objects in order. */
function ordered(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(ordered);
  const entries = Object.entries(value).map(([name, item]) => [name, ordered(item)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
