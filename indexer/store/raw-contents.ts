import { isLive } from '../format/bitmap.ts';
import { type PassageRef, parseStoredId } from '../format/stored-id.ts';
import { forEachInList, rowsOfPostingLists } from '../postings/posting-list-reader.ts';
import type { Segment } from '../segment/segment.ts';
import type { ImpactVector } from '../types.ts';
import type { IndexView } from './index-view.ts';
import type { StoredRecord } from './records.ts';

/*
 * What an index holds of each live document, for exchange with other programs: tombstones, segments and the layout of postings do not
 * show. Views of the index must stay acquired while these generators and readers are in use.
 */

/** A live document or passage. */
export interface LiveDocument {
  readonly ref: PassageRef;
  /** Reads the stored fields. @throws WinnowError WINNOW_INDEX_CORRUPT */
  record(): StoredRecord | undefined;
}

export interface DocumentVector extends LiveDocument {
  /** Views, valid as long as the view of the index. */
  readonly vector: ImpactVector;
}

export interface DocumentWords extends LiveDocument {
  /** How often each analysed word occurs, clamped to 255. Not in the order of the text. */
  readonly frequencies: ReadonlyMap<string, number>;
}

/** The sparse vector of every live document. @throws WinnowError WINNOW_INDEX_CORRUPT */
export function* readVectors(view: IndexView): Generator<DocumentVector> {
  for (const { segment, docId, document } of liveDocuments(view))
    yield { ...document, vector: segment.vector(docId) };
}

/** The words of every live document. Memory: the word postings of one segment. @throws WinnowError WINNOW_INDEX_CORRUPT */
export function* readWords(view: IndexView): Generator<DocumentWords> {
  let of:
    | { segment: Segment; words: readonly string[]; rows: ReturnType<typeof rowsOfPostingLists> }
    | undefined;
  for (const { segment, docId, document } of liveDocuments(view)) {
    if (of?.segment !== segment)
      of = { segment, words: segment.words.toArray(), rows: rowsOfPostingLists(segment.wordPostings) };
    const { rowOffsets, columnIds, values } = of.rows;
    const frequencies = new Map<string, number>();
    for (let p = rowOffsets[docId]!; p < rowOffsets[docId + 1]!; p++)
      frequencies.set(of.words[columnIds[p]!]!, values[p]!);
    yield { ...document, frequencies };
  }
}

/** The documents of one term, ascending, with its impact or its frequency in each: 1..255. */
export interface TermPostings {
  /** Positions in {@link PostingsReader.documents}. */
  readonly docIds: Uint32Array;
  readonly values: Uint32Array;
}

/** Postings across segments. Documents are numbered anew, so that deleted ones leave no gaps. */
export interface PostingsReader<Term> {
  /** All live documents. `length`: terms of the vector, or analysed words. */
  readonly documents: readonly { readonly ref: PassageRef; readonly length: number }[];
  /** Terms that some live document has, in no particular order. */
  readonly terms: readonly Term[];
  /** @param term one of {@link terms}. @throws WinnowError WINNOW_INDEX_CORRUPT */
  postingsOf(term: Term): TermPostings;
}

/** Postings of the learned vectors, by WordPiece id. */
export const readImpactPostings = (view: IndexView): PostingsReader<number> =>
  readPostings(view, {
    termsOf: ({ termIds }) => termIds,
    listsOf: ({ impacts }) => impacts,
    lengthOf: (segment, docId) => segment.vector(docId).termIds.length,
  });

/** Postings of words, by analysed word. */
export const readWordPostings = (view: IndexView): PostingsReader<string> =>
  readPostings(view, {
    termsOf: ({ words }) => words.toArray(),
    listsOf: ({ wordPostings }) => wordPostings,
    lengthOf: ({ lengths }, docId) => lengths[docId]!,
  });

/** One kind of postings in a segment: list i belongs to term i. */
interface PostingsKind<Term> {
  readonly termsOf: (segment: Segment) => Iterable<Term>;
  readonly listsOf: (segment: Segment) => Segment['impacts'];
  readonly lengthOf: (segment: Segment, docId: number) => number;
}

function readPostings<Term>(
  view: IndexView,
  { termsOf, listsOf, lengthOf }: PostingsKind<Term>,
): PostingsReader<Term> {
  const documents: { ref: PassageRef; length: number }[] = [];
  /** New number of each document of a segment; -1 for deleted ones. */
  const numberings = new Map<Segment, Int32Array>();
  for (const { segment } of view.segments) numberings.set(segment, new Int32Array(segment.numDocs).fill(-1));
  for (const { segment, docId, document } of liveDocuments(view)) {
    numberings.get(segment)![docId] = documents.length;
    documents.push({ ref: document.ref, length: lengthOf(segment, docId) });
  }
  /** Lists of each term. */
  const listsOfTerm = new Map<Term, { segment: Segment; listId: number }[]>();
  for (const { segment } of view.segments) {
    let listId = 0;
    for (const term of termsOf(segment)) {
      const lists = listsOfTerm.get(term) ?? [];
      lists.push({ segment, listId: listId++ });
      listsOfTerm.set(term, lists);
    }
  }
  const postingsOf = (term: Term): TermPostings => {
    const docIds: number[] = [];
    const values: number[] = [];
    for (const { segment, listId } of listsOfTerm.get(term)!) {
      const numbering = numberings.get(segment)!;
      forEachInList(listsOf(segment), listId, (docId, value) => {
        if (numbering[docId]! < 0) return;
        docIds.push(numbering[docId]!);
        values.push(value);
      });
    }
    return { docIds: Uint32Array.from(docIds), values: Uint32Array.from(values) };
  };
  const withDeletions = new Set(view.segments.filter(({ live }) => live).map(({ segment }) => segment));
  const terms = [...listsOfTerm.keys()].filter(
    (term) =>
      listsOfTerm.get(term)!.some(({ segment }) => !withDeletions.has(segment)) ||
      postingsOf(term).docIds.length > 0,
  );
  return { documents, terms, postingsOf };
}

function* liveDocuments(
  view: IndexView,
): Generator<{ segment: Segment; docId: number; document: LiveDocument }> {
  for (const { segment, live } of view.segments) {
    for (let docId = 0; docId < segment.numDocs; docId++) {
      if (!isLive(live, docId)) continue;
      const ref = parseStoredId(segment.id(docId));
      yield { segment, docId, document: { ref, record: () => view.document(segment.docKeys[docId]!) } };
    }
  }
}
