import { createHash } from 'node:crypto';
import { bitmapFor, isBitSet, setBit } from '../indexer/format.ts';
import type { Generation, SegmentView } from '../indexer/generation.ts';
import { NOT_DENSE } from '../indexer/posting-lists.ts';
import type { StoredRecord } from '../indexer/records.ts';
import type { Segment } from '../indexer/segment.ts';
import { type Accept, complement, intersect } from './accept.ts';
import { type Deadline, NO_DEADLINE } from './deadline.ts';
import { isStopWord, phraseWords } from './english-analyzer.ts';
import { containsPhrase, type TextCondition } from './operators.ts';
import { MAX_TEXTS_READ } from './request.ts';

/** What the posting lists of a segment say about the conditions of a query. */
interface SegmentVerdict {
  /** Documents that can pass; undefined: all. */
  readonly possible: Accept;
  /** Those of them whose text decides; undefined: all. */
  readonly undecided: Accept;
}

/**
 * Phrases and exclusions of one query over one generation. A document is its title and its text: a phrase stands in one of
 * them as a whole. A passage is a document of its own.
 *
 * Posting lists decide about single words and narrow phrases down; what is left is decided by the stored text.
 */
export class TextConditions {
  readonly conditions: readonly TextCondition[];
  /** The same for the same conditions. */
  readonly key: string;
  private readonly generation: Generation;
  private readonly verdicts = new Map<SegmentView, SegmentVerdict>();

  constructor(conditions: readonly TextCondition[], generation: Generation) {
    this.conditions = conditions;
    this.generation = generation;
    const text = JSON.stringify(conditions.map(({ kind, words }) => [kind, words]));
    this.key = createHash('sha256').update(text).digest('base64');
  }

  /** Whether the posting lists alone decide about every document. */
  get needText(): boolean {
    return this.conditions.some(needsText);
  }

  /** Documents of a segment that can pass. */
  possible(view: SegmentView): Accept {
    return this.verdict(view).possible;
  }

  /** Whether a document that is {@link possible} must be looked at. */
  isUndecided(view: SegmentView, docId: number): boolean {
    const { undecided } = this.verdict(view);
    return this.needText && (undecided === undefined || isBitSet(undecided, docId));
  }

  /** Which conditions hold for a document, by its stored text, in the order of {@link conditions}. */
  holds({ title, text }: Pick<StoredRecord, 'title' | 'text'>): boolean[] {
    const parts = [phraseWords(title), phraseWords(text)];
    return this.conditions.map(
      ({ kind, words }) => parts.some((part) => containsPhrase(part, words)) === (kind === 'phrase'),
    );
  }

  /** Stored fields that decide; undefined when they are gone. */
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
    let possible: Accept;
    let undecided: Accept = bitmapFor(segment.numDocs);
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

/** Characters of a text that are analysed in a microsecond on a slow machine. */
const CHARACTERS_PER_US = 2;
const REMEMBERED_TEXTS = 65_536;

/** Decides about documents by their texts, at most {@link MAX_TEXTS_READ} per search; remembers its decisions for the next page. */
export class TextReader {
  private readonly decisions = new Map<string, boolean>();
  private deadline: Deadline = NO_DEADLINE;
  private numRead = 0;

  /** Begins another search. */
  start(deadline: Deadline): void {
    this.deadline = deadline;
    this.numRead = 0;
  }

  /** Whether the bound on texts was reached. */
  get isSpent(): boolean {
    return this.numRead >= MAX_TEXTS_READ;
  }

  /** Whether a document that the posting lists let through passes; undefined when time or texts are spent. */
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

/** A single word stands in a document exactly where it has a posting; the index leaves stop words out. */
const needsText = ({ words }: TextCondition): boolean => words.length > 1 || isStopWord(words[0]!);

/** Documents that have all of the words that an index keeps; undefined where it keeps none of them. */
function documentsWithAll(segment: Segment, words: readonly string[]): Accept {
  const indexed = [...new Set(words)].filter((word) => !isStopWord(word));
  return indexed
    .map((word) => documentsWith(segment, word))
    .reduce<Accept>((all, one) => intersect(all, one), undefined);
}

function documentsWith(segment: Segment, word: string): Uint8Array {
  const bitmap = bitmapFor(segment.numDocs);
  const list = segment.words.find(word);
  if (list < 0) return bitmap;
  const { lexical } = segment;
  lexical.verify(list);
  const { denseSlots, columns, columnStride, numChunks, starts, localIds } = lexical;
  const slot = denseSlots[list]!;
  if (slot !== NOT_DENSE) {
    const column = slot * columnStride;
    for (let docId = 0; docId < segment.numDocs; docId++)
      if (columns[column + docId]! > 0) setBit(bitmap, docId);
    return bitmap;
  }
  for (let chunk = 0; chunk < numChunks; chunk++) {
    const cell = list * numChunks + chunk;
    const end = starts[cell + 1]!;
    for (let p = starts[cell]!; p < end; p++) setBit(bitmap, (chunk << 16) + localIds[p]!);
  }
  return bitmap;
}
