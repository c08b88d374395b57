import type { CorpusDocument } from '../../corpus/types.ts';
import type { DenseVector, IndexableDocument, IndexableSource, WeightVector } from '../types.ts';

/**
 * Sources as they cross threads. Cloning a message takes time per object, so what documents have many of is put end to end: terms,
 * weights, words, subword ids and numbers of dense vectors.
 */
export interface SourceMessage {
  readonly sources: readonly {
    readonly id: string;
    readonly contentHash: string;
    readonly documents: readonly CorpusDocument[];
  }[];
  readonly termIds: Rows<Uint16Array>;
  /** Weights of {@link termIds}. */
  readonly weights: Float32Array;
  readonly dense: Rows<Int8Array>;
  /** By document; 0 for those without a dense vector. */
  readonly scales: Float64Array;
  readonly subwordIds: Rows<Int32Array>;
  /** Words of each document, as lengths in UTF-16 units. */
  readonly words: Rows<Uint32Array>;
  /** All words end to end. */
  readonly letters: string;
}

/** Lists of numbers end to end, one per document. */
interface Rows<Numbers> {
  /** Length of each list; -1 where the document has none. */
  readonly lengths: Int32Array;
  readonly values: Numbers;
}

export function packSources(sources: readonly IndexableSource[]): SourceMessage {
  const documents = sources.flatMap((source) => source.documents);
  const letters: string[] = [];
  for (const { words } of documents) letters.push(words.join(''));
  return {
    sources: sources.map(({ id, contentHash, documents }) => ({
      id,
      contentHash,
      documents: documents.map(({ document }) => document),
    })),
    termIds: packRows(Uint16Array, documents, ({ vector }) => vector.termIds),
    weights: packRows(Float32Array, documents, ({ vector }) => vector.weights).values,
    dense: packRows(Int8Array, documents, ({ dense }) => dense?.values),
    scales: Float64Array.from(documents, ({ dense }) => dense?.scale ?? 0),
    subwordIds: packRows(Int32Array, documents, ({ subwordIds }) => subwordIds),
    words: packRows(Uint32Array, documents, ({ words }) => Uint32Array.from(words, ({ length }) => length)),
    letters: letters.join(''),
  };
}

/** The inverse of {@link packSources}; numbers are views into the message. */
export function unpackSources(message: SourceMessage): IndexableSource[] {
  const { sources, weights, scales } = message;
  const termIds = new RowReader(message.termIds);
  const weightRows = new RowReader({ ...message.termIds, values: weights });
  const dense = new RowReader(message.dense);
  const subwordIds = new RowReader(message.subwordIds);
  const words = new WordReader(message);
  let index = 0;
  const next = (document: CorpusDocument): IndexableDocument => {
    const vector: WeightVector = { termIds: termIds.next()!, weights: weightRows.next()! };
    const values = dense.next();
    const denseVector: DenseVector | undefined = values && { values, scale: scales[index]! };
    index++;
    const subwords = subwordIds.next();
    return {
      document,
      vector,
      words: words.next(),
      ...(denseVector ? { dense: denseVector } : {}),
      ...(subwords ? { subwordIds: Array.from(subwords) } : {}),
    };
  };
  return sources.map(({ id, contentHash, documents }) => ({
    id,
    contentHash,
    documents: documents.map(next),
  }));
}

interface NumberArray<Self> {
  set(values: ArrayLike<number>, offset: number): void;
  subarray(from: number, to: number): Self;
}

function packRows<Numbers extends NumberArray<Numbers>>(
  Numbers: new (length: number) => Numbers,
  documents: readonly IndexableDocument[],
  rowOf: (document: IndexableDocument) => ArrayLike<number> | undefined,
): Rows<Numbers> {
  const rows = documents.map(rowOf);
  const lengths = Int32Array.from(rows, (row) => row?.length ?? -1);
  const values = new Numbers(rows.reduce((sum, row) => sum + (row?.length ?? 0), 0));
  let offset = 0;
  for (const row of rows) {
    if (!row) continue;
    values.set(row, offset);
    offset += row.length;
  }
  return { lengths, values };
}

class RowReader<Numbers extends NumberArray<Numbers>> {
  private readonly rows: Rows<Numbers>;
  private row = 0;
  private offset = 0;

  constructor(rows: Rows<Numbers>) {
    this.rows = rows;
  }

  next(): Numbers | undefined {
    const length = this.rows.lengths[this.row++]!;
    if (length < 0) return undefined;
    this.offset += length;
    return this.rows.values.subarray(this.offset - length, this.offset);
  }
}

class WordReader {
  private readonly lengths: RowReader<Uint32Array>;
  private readonly letters: string;
  private offset = 0;

  constructor({ words, letters }: SourceMessage) {
    this.lengths = new RowReader(words);
    this.letters = letters;
  }

  next(): string[] {
    return Array.from(this.lengths.next()!, (length) => {
      this.offset += length;
      return this.letters.slice(this.offset - length, this.offset);
    });
  }
}
