import type { FieldValues } from './filter-columns.ts';
import type { Rows } from './posting-lists.ts';
import type { Segment } from './segment.ts';
import type { SegmentContent } from './segment-builder.ts';

/** A segment to merge and which of its documents to keep (bit set = keep; undefined = all). */
export interface MergeInput {
  readonly segment: Segment;
  readonly live: Uint8Array | undefined;
}

export const isLive = (live: Uint8Array | undefined, docId: number): boolean =>
  live === undefined || ((live[docId >> 3]! >> (docId & 7)) & 1) === 1;

/**
 * Joins the live documents of several segments.
 *
 * @param order optional new document order: `order[newDocId]` is an index into the live documents, which are numbered
 *   segment by segment in docId order
 */
export function mergeContent(
  inputs: readonly MergeInput[],
  numFields: number,
  order?: Uint32Array,
): SegmentContent {
  const wordNumber = new Map<string, number>();
  const contents = inputs.map(({ segment }) => segment.content());
  const wordMaps = contents.map(({ words }) =>
    Uint32Array.from(words, (word) => {
      const number = wordNumber.get(word) ?? wordNumber.size;
      wordNumber.set(word, number);
      return number;
    }),
  );
  const origins: [input: number, docId: number][] = [];
  inputs.forEach(({ segment, live }, input) => {
    for (let docId = 0; docId < segment.numDocs; docId++)
      if (isLive(live, docId)) origins.push([input, docId]);
  });
  const sorted = order ? Array.from(order, (index) => origins[index]!) : origins;

  const docKeys = new Uint32Array(sorted.length);
  const lengths = new Uint32Array(sorted.length);
  const ids: string[] = [];
  const fields: FieldValues[][] = Array.from({ length: numFields }, () => []);
  sorted.forEach(([input, docId], newDocId) => {
    const content = contents[input]!;
    docKeys[newDocId] = content.docKeys[docId]!;
    lengths[newDocId] = content.lengths[docId]!;
    ids.push(content.ids[docId]!);
    content.fields.forEach((rows, field) => {
      fields[field]!.push(rows[docId]!);
    });
  });
  const impacts = gatherRows(
    sorted,
    contents.map((content) => content.impacts),
  );
  const lexical = gatherRows(
    sorted,
    contents.map(({ lexical }, input) => ({
      ...lexical,
      lists: Uint32Array.from(lexical.lists, (word) => wordMaps[input]![word]!),
    })),
  );
  return { docKeys, ids, impacts, ...dropUnusedWords([...wordNumber.keys()], lexical), lengths, fields };
}

/** Copies the rows named by (input, docId), in that order. */
function gatherRows(origins: readonly [number, number][], inputs: readonly Rows[]): Rows {
  const offsets = new Uint32Array(origins.length + 1);
  origins.forEach(([input, docId], i) => {
    const rows = inputs[input]!.offsets;
    offsets[i + 1] = offsets[i]! + rows[docId + 1]! - rows[docId]!;
  });
  const total = offsets[origins.length]!;
  const lists = new Uint32Array(total);
  const values = new Uint8Array(total);
  origins.forEach(([input, docId], i) => {
    const rows = inputs[input]!;
    const from = rows.offsets[docId]!;
    const to = rows.offsets[docId + 1]!;
    lists.set(rows.lists.subarray(from, to), offsets[i]!);
    values.set(rows.values.subarray(from, to), offsets[i]!);
  });
  return { offsets, lists, values };
}

/** Words that only deleted documents had would stay for ever: they are left out and the rows renumbered. */
function dropUnusedWords(words: readonly string[], lexical: Rows): { words: string[]; lexical: Rows } {
  const used = new Uint8Array(words.length);
  for (const word of lexical.lists) used[word] = 1;
  const numbers = new Uint32Array(words.length);
  const kept: string[] = [];
  words.forEach((word, i) => {
    if (!used[i]) return;
    numbers[i] = kept.length;
    kept.push(word);
  });
  return {
    words: kept,
    lexical: { ...lexical, lists: Uint32Array.from(lexical.lists, (word) => numbers[word]!) },
  };
}
