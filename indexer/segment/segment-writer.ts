import { Inversion } from '../../kernels/search/inversion.ts';
import { bytesOf } from '../format/bytes.ts';
import { PartKind } from '../format/parts.ts';
import { packSections } from '../format/sections.ts';
import type { EncodedStrings } from '../format/string-table.ts';
import { BLOCK_MAX_MIN_DOCS, buildBlockMaxIndex } from '../postings/block-max-writer.ts';
import { openPostingLists } from '../postings/posting-list-reader.ts';
import { type BuiltLists, buildPostingLists } from '../postings/posting-list-writer.ts';
import { type DenseDraft, writeDenseChecksums } from './dense-vectors.ts';
import { type ForwardDraft, type ForwardMatrix, writeForwardChecksums } from './forward-index.ts';
import { encodeHeader, entryOf, entryOfLists, type PartEntry } from './segment-header.ts';

/** Everything a segment holds, by docId; the input of {@link buildSegment} for new batches and for merges alike. */
export interface SegmentContent {
  /** Key of the stored document, unique over the whole life of the index. */
  readonly docKeys: Uint32Array;
  /** Stored ids. */
  readonly ids: EncodedStrings;
  /** Rank of each stored id among those of the segment, in UTF-16 order. */
  readonly idRanks: Uint32Array;
  /** Number of words of each document. */
  readonly lengths: Uint32Array;
  /** Vectors, as rows of (termId ascending, impact 1..255) inside the part that will be stored. */
  readonly forward: ForwardDraft;
  /** Absent when no document has a dense vector. */
  readonly dense?: DenseDraft | undefined;
  /** Bit p set: the term of posting p of {@link forward} occurs in the text of its document. */
  readonly inText: Uint8Array;
  /** Makes the posting lists of words (value = term frequency clamped to 255), list i for word i. */
  readonly wordPostings: () => BuiltLists;
  /** Distinct words of the segment in byte order. */
  readonly words: EncodedStrings;
  /** Sections of all filter fields, in the order of the index settings. */
  readonly fields: readonly Uint8Array[];
}

/** Term ids are u16. */
const MAX_TERMS = 1 << 16;

/** Makes the header of a segment under the number that it was given. */
export type SegmentHeaderMaker = (number: number) => Uint8Array;

/**
 * Lays out a segment, part by part.
 *
 * @param put stores a part; it is not used again, so that one part at a time is in memory beside the content
 * @returns makes the header, to be stored last
 */
export function buildSegment(
  content: SegmentContent,
  put: (kind: PartKind, bytes: Uint8Array) => void,
): SegmentHeaderMaker {
  const { docKeys, lengths, inText, forward, dense } = content;
  const { rows } = forward;
  const numDocs = docKeys.length;
  const entries = new Map<PartKind, PartEntry>();
  const putSections = (kind: PartKind, bytes: Uint8Array): void => {
    entries.set(kind, entryOf(bytes));
    put(kind, bytes);
  };
  const putLists = (kind: PartKind, { bytes, directoryBytes }: BuiltLists): void => {
    entries.set(kind, entryOfLists(bytes, directoryBytes));
    put(kind, bytes);
  };
  const inversion = new Inversion(rows, MAX_TERMS);
  const { termIds, listIds } = termsOf(inversion);
  const impacts = buildPostingLists(rows, termIds.length, listIds, inversion);
  if (numDocs >= BLOCK_MAX_MIN_DOCS)
    putLists(
      PartKind.Maxima,
      buildBlockMaxIndex(openPostingLists(impacts.bytes, 'new segment, part Impacts')),
    );
  putLists(PartKind.Impacts, impacts);
  putLists(PartKind.Lexical, content.wordPostings());
  writeForwardChecksums(forward);
  putLists(PartKind.Forward, forward);
  if (dense) {
    writeDenseChecksums(dense);
    putLists(PartKind.Dense, dense);
  }
  putSections(PartKind.Documents, documentsPart(content));
  const textFrequencies = countInText(rows, inText, listIds, termIds.length);
  putSections(PartKind.Terms, packSections([bytesOf(termIds), bytesOf(textFrequencies)]));
  putSections(PartKind.InText, packSections([inText]));
  putSections(PartKind.Words, packSections(content.words));
  putSections(PartKind.Fields, packSections(content.fields));

  let sumLengths = 0;
  for (let docId = 0; docId < numDocs; docId++) sumLengths += lengths[docId]!;
  const numPostings = rows.columnIds.length;
  return (number) => encodeHeader({ number, numDocs, numPostings, sumLengths }, entries);
}

export function documentsPart({
  docKeys,
  idRanks,
  lengths,
  ids,
}: Pick<SegmentContent, 'docKeys' | 'idRanks' | 'lengths' | 'ids'>): Uint8Array {
  return packSections([
    bytesOf(docKeys),
    bytesOf(docIdsByKey(docKeys)),
    bytesOf(idRanks),
    bytesOf(lengths),
    ...ids,
  ]);
}

/** The terms that occur, ascending, and by term the id of its list. */
function termsOf({ tiles }: Inversion): { termIds: Uint16Array; listIds: Uint32Array } {
  const present: number[] = [];
  const listIds = new Uint32Array(MAX_TERMS);
  for (let termId = 0; termId < MAX_TERMS; termId++) {
    if (!tiles.some(({ counts }) => counts[termId]! > 0)) continue;
    listIds[termId] = present.length;
    present.push(termId);
  }
  return { termIds: Uint16Array.from(present), listIds };
}

/** By list: how many documents have the term in their text. */
function countInText(
  { columnIds }: ForwardMatrix,
  inText: Uint8Array,
  listIds: Uint32Array,
  numLists: number,
): Uint32Array {
  const counts = new Uint32Array(numLists);
  for (let i = 0; i < inText.length; i++)
    for (let rest = inText[i]!; rest > 0; rest &= rest - 1)
      counts[listIds[columnIds[8 * i + 31 - Math.clz32(rest & -rest)]!]!]!++;
  return counts;
}

function docIdsByKey(docKeys: Uint32Array): Uint32Array {
  // As u64 with the key above the docId: sorts natively, without a comparison in TypeScript.
  const pairs = new Uint32Array(2 * docKeys.length);
  for (let docId = 0; docId < docKeys.length; docId++) {
    pairs[2 * docId] = docId;
    pairs[2 * docId + 1] = docKeys[docId]!;
  }
  new BigUint64Array(pairs.buffer).sort();
  return docKeys.map((_, i) => pairs[2 * i]!);
}
