import { LRUCache } from 'lru-cache';
import type { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import type { StoredRecord } from '../../indexer/store/records.ts';
import type { FoundQuery } from '../retrieve/retriever.ts';
import { readWords, type TextWords } from './text-words.ts';

/** Characters of stored fields that are kept; with their words some four bytes each, so 32 MB. */
const KEPT_CHARACTERS = 8_000_000;

/** Stored fields of a document, and where the words of its text are. */
export interface ReadDocument {
  readonly record: StoredRecord;
  readonly words: TextWords;
  /** WordPiece ids of the title. */
  readonly titleIds: readonly number[];
}

/**
 * The documents that searches showed last. Reading one takes some 20 µs: it is unpacked, checked, parsed and cut into words. The fields
 * under a key never change, so that what was read stays true.
 */
export class DocumentCache {
  private readonly tokenizer: WordPieceTokenizer;
  private readonly kept = new LRUCache<number, ReadDocument>({
    maxSize: KEPT_CHARACTERS,
    sizeCalculation: ({ record: { title, text, metadata } }) =>
      100 + title.length + text.length + JSON.stringify(metadata).length,
  });

  constructor(tokenizer: WordPieceTokenizer) {
    this.tokenizer = tokenizer;
  }

  /** Undefined where the index has no fields under the key. @throws WinnowError WINNOW_INDEX_CORRUPT */
  get(generation: FoundQuery['generation'], docKey: number): ReadDocument | undefined {
    const known = this.kept.get(docKey);
    if (known) return known;
    const record = generation.document(docKey);
    if (!record) return undefined;
    const read = {
      record,
      words: readWords(record.text, this.tokenizer),
      titleIds: this.tokenizer.encode(record.title),
    };
    this.kept.set(docKey, read);
    return read;
  }
}
