import { createHash } from 'node:crypto';
import { bitmapFor, isBitSet, setBit } from '../../indexer/format/bitmap.ts';
import type { Segment } from '../../indexer/segment/segment.ts';
import type { IndexView, SegmentView } from '../../indexer/store/index-view.ts';
import type { StoredRecord } from '../../indexer/store/records.ts';
import { NOT_DENSE } from '../../kernels/search/layout.ts';
import { type Deadline, NO_DEADLINE } from '../deadline.ts';
import { MAX_TEXTS_READ } from '../limits.ts';
import { type AcceptBits, complement, intersect } from '../retrieve/accept-bits.ts';
import { isStopWord, phraseWords } from './english-analyzer.ts';
import { containsPhrase, type TextCondition } from './operators.ts';

/** The documents of a segment by what posting lists say about the conditions of a query. */
interface SegmentVerdict {
  /** Documents that can pass; undefined: all. */
  readonly possible: AcceptBits;
  /** The possible documents whose stored text decides; undefined: all. */
  readonly undecided: AcceptBits;
}

/**
 * Phrases and exclusions of one query over one generation. A document consists of its title and its text, and a phrase must be in one
 * of them as a whole. Every passage is a document.
 *
 * Posting lists decide about single words and narrow the candidates for phrases. Stored texts decide about the rest.
 */
export class TextConditions {
  readonly conditions: readonly TextCondition[];
  /** Equal for equal conditions. */
  readonly key: string;
  private readonly generation: IndexView;
  private readonly verdicts = new Map<SegmentView, SegmentVerdict>();

  constructor(conditions: readonly TextCondition[], generation: IndexView) {
    this.conditions = conditions;
    this.generation = generation;
    const text = JSON.stringify(conditions.map(({ kind, words }) => [kind, words]));
    this.key = createHash('sha256').update(text).digest('base64');
  }

  /** Whether stored texts are needed to decide about some documents. */
  get needText(): boolean {
    return this.conditions.some(needsText);
  }

  /** Documents of a segment that can pass. */
  possible(view: SegmentView): AcceptBits {
    return this.verdict(view).possible;
  }

  /** Whether the text of a {@link possible} document must be read. */
  isUndecided(view: SegmentView, docId: number): boolean {
    const { undecided } = this.verdict(view);
    return this.needText && (undecided === undefined || isBitSet(undecided, docId));
  }

  /** Which conditions hold for a document, by its stored text, in the order of {@link conditions}. */
  holds({ title, text }: Pick<StoredRecord, 'title' | 'text'>): boolean[] {
    return conditionsHold(this.conditions, { title, text });
  }

  /** The stored fields of a document; undefined when they are missing. */
  record(view: SegmentView, docId: number): StoredRecord | undefined {
    return this.generation.document(view.segment.docKeys[docId]!);
  }

  private verdict(view: SegmentView): SegmentVerdict {
    let verdict = this.verdicts.get(view);
    if (!verdict) {
      verdict = this.judge(view.segment);
      this.verdicts.set(view, verdict);
    }
    return verdict;
  }

  private judge(segment: Segment): SegmentVerdict {
    let possible: AcceptBits;
    let undecided: AcceptBits = bitmapFor(segment.numDocs);
    for (const condition of this.conditions) {
      const having = documentsWithAll(segment, condition.words);
      if (condition.kind === 'phrase') {
        possible = intersect(possible, having);
        if (needsText(condition)) undecided = undefined;
      } else if (!needsText(condition)) {
        possible = intersect(possible, complement(having!, segment.numDocs));
      } else if (undecided) {
        const before = undecided;
        undecided = having?.map((byte, i) => byte | before[i]!);
      }
    }
    return { possible, undecided };
  }
}

/** Which conditions hold for a document, by its stored text. */
export function conditionsHold(
  conditions: readonly TextCondition[],
  { title, text }: Pick<StoredRecord, 'title' | 'text'>,
): boolean[] {
  const parts = [phraseWords(title), phraseWords(text)];
  return conditions.map(
    ({ kind, words }) => parts.some((part) => containsPhrase(part, words)) === (kind === 'phrase'),
  );
}

/** Characters of a text that are analysed per microsecond on a slow machine. */
const CHARACTERS_PER_US = 2;
const REMEMBERED_TEXTS = 65_536;

/** Decides about documents by their texts, at most {@link MAX_TEXTS_READ} per search. Decisions are kept for the next page. */
export class TextReader {
  private readonly decisions = new Map<string, boolean>();
  private deadline: Deadline = NO_DEADLINE;
  private numRead = 0;

  /** Begins a new search. */
  start(deadline: Deadline): void {
    this.deadline = deadline;
    this.numRead = 0;
  }

  /** Whether the limit on texts was reached. */
  get isSpent(): boolean {
    return this.numRead >= MAX_TEXTS_READ;
  }

  /** Whether a possible document meets the conditions; undefined when the time or the number of texts is used up. */
  passes(conditions: TextConditions, view: SegmentView, docId: number): boolean | undefined {
    if (!conditions.isUndecided(view, docId)) return true;
    const key = `${view.segment.number} ${docId} ${conditions.key}`;
    const known = this.decisions.get(key);
    if (known !== undefined) return known;
    if (this.isSpent || this.deadline.isPast) return undefined;
    this.numRead++;
    const record = conditions.record(view, docId);
    if (record && !this.deadline.affords(record.text.length / CHARACTERS_PER_US)) return undefined;
    const passes = record !== undefined && conditions.holds(record).every(Boolean);
    if (this.decisions.size >= REMEMBERED_TEXTS) this.decisions.clear();
    this.decisions.set(key, passes);
    return passes;
  }
}

/** A document has a single word exactly if the word has a posting for it, except stop words, which have no postings. */
const needsText = ({ words }: TextCondition): boolean => words.length > 1 || isStopWord(words[0]!);

/** Documents that have all of the words except stop words; undefined where all are stop words. */
function documentsWithAll(segment: Segment, words: readonly string[]): AcceptBits {
  const indexed = [...new Set(words)].filter((word) => !isStopWord(word));
  return indexed
    .map((word) => documentsWith(segment, word))
    .reduce<AcceptBits>((all, one) => intersect(all, one), undefined);
}

function documentsWith(segment: Segment, word: string): Uint8Array {
  const bitmap = bitmapFor(segment.numDocs);
  const list = segment.words.find(word);
  if (list < 0) return bitmap;
  const { wordPostings } = segment;
  wordPostings.verify(list);
  const { denseColumnOf, columns, columnStride, numChunks, starts, localIds } = wordPostings;
  const denseColumn = denseColumnOf[list]!;
  if (denseColumn !== NOT_DENSE) {
    const column = denseColumn * columnStride;
    for (let docId = 0; docId < segment.numDocs; docId++)
      if (columns[column + docId]! > 0) setBit(bitmap, docId);
    return bitmap;
  }
  for (let chunk = 0; chunk < numChunks; chunk++) {
    const listChunk = list * numChunks + chunk;
    const end = starts[listChunk + 1]!;
    for (let p = starts[listChunk]!; p < end; p++) setBit(bitmap, (chunk << 16) + localIds[p]!);
  }
  return bitmap;
}
