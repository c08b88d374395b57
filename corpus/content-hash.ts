import { createHash } from 'node:crypto';
import type { CorpusDocument } from './types.ts';

/**
 * 32 hexadecimal digits (128 bits of SHA-256) over title, text and metadata, whatever the order of the metadata's names.
 * The id is left out: a document that only moved to another name has the same content.
 */
export function contentHash(document: Pick<CorpusDocument, 'title' | 'text' | 'metadata'>): string {
  const { title, text, metadata } = document;
  const names = Object.keys(metadata).sort();
  return createHash('sha256')
    .update(JSON.stringify([title, text, names.map((name) => [name, metadata[name]])]))
    .digest('hex')
    .slice(0, 32);
}
