import { createHash } from 'node:crypto';
import { parseStoredId, storedId } from '../../indexer/format/stored-id.ts';
import type { SourceDocument } from '../../indexer/types.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { searchableText } from '../../query/embedded/source-encoder.ts';

/** A document or passage of an index with its text. */
export interface Passage {
  /** Its stored id (`parseStoredId`). */
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

/** Where the keys of a sample come from: each passage has a number that depends on its id and the seed alone. */
const drawOf = (id: string, seed: number): string =>
  createHash('sha256').update(`${seed} ${id}`).digest('hex').slice(0, 16);

/**
 * Draws passages evenly from an index. The same passages are drawn whatever the order in the index, and a larger sample holds the
 * smaller one of the same seed.
 *
 * @param count at most; memory grows with it and not with the index
 */
export async function samplePassages(
  index: EmbeddedBackend,
  count: number,
  seed: number,
): Promise<Passage[]> {
  return index.raw.reading(({ vectors }) => {
    let kept: { id: string; draw: string; record: Passage }[] = [];
    let limit = '~'; // after every hexadecimal digit
    const shrink = (): void => {
      kept = kept.sort((a, b) => (a.draw < b.draw ? -1 : 1)).slice(0, count);
      if (kept.length === count) limit = kept.at(-1)!.draw;
    };
    for (const { ref, record } of vectors()) {
      const id = storedId(ref.id, ref.passage);
      const draw = drawOf(id, seed);
      if (draw >= limit) continue;
      const { title, text } = record()!;
      kept.push({ id, draw, record: { id, title, text } });
      if (kept.length >= 2 * count + 1000) shrink();
    }
    shrink();
    return kept.map(({ record }) => record);
  });
}

/** Passages by stored id; ids that the index lacks are left out. */
export function readPassages(index: EmbeddedBackend, ids: Iterable<string>): Map<string, Passage> {
  const found = new Map<string, Passage>();
  for (const id of ids) {
    const record = index.get(parseStoredId(id));
    if (record) found.set(id, { id, title: record.title, text: record.text });
  }
  return found;
}

/** Stored ids of the documents that a source became; empty for one that the index lacks. */
export function passageIds(index: EmbeddedBackend, source: string): string[] {
  const record = index.get(source);
  if (!record) return [];
  return 'passages' in record ? record.passages.map((ordinal) => storedId(source, ordinal)) : [source];
}

/** Ids of sources by the texts that they have, for training pairs that give a text instead of an id. */
export async function sourcesByText(
  index: EmbeddedBackend,
  texts: readonly string[],
): Promise<Map<string, string>> {
  const wanted = new Map(texts.map((text) => [textKey(text), text]));
  const found = new Map<string, string>();
  if (wanted.size === 0) return found;
  await index.raw.reading(({ vectors }) => {
    for (const { ref, record } of vectors()) {
      const { title, text } = record()!;
      for (const key of [textKey(searchableText({ title, text })), textKey(text)]) {
        const known = wanted.get(key);
        if (known !== undefined && !found.has(known)) found.set(known, ref.id);
      }
    }
  });
  return found;
}

/** Equal for texts that begin alike but for case and punctuation (encoder/training/gpu/build_data.py, `fingerprint`). */
const textKey = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '')
    .slice(0, 160);

/** Passages as the sources that an index stores, those of one source together. */
export function asSources(passages: Iterable<Passage>): SourceDocument[] {
  const bySource = new Map<string, { passage?: number; title: string; text: string }[]>();
  for (const { id, title, text } of passages) {
    const { id: source, passage } = parseStoredId(id);
    const documents = bySource.get(source) ?? [];
    bySource.set(source, documents);
    documents.push({ title, text, ...(passage === undefined ? {} : { passage }) });
  }
  return [...bySource].map(([id, documents]) => ({
    id,
    contentHash: createHash('sha256').update(JSON.stringify(documents)).digest('hex').slice(0, 32),
    documents: documents
      .sort((a, b) => (a.passage ?? 0) - (b.passage ?? 0))
      .map((document) => ({ id, ...document })),
  }));
}
