import type { Model } from '../../encoder/model.ts';
import type { DocumentEncoder, EncodedDocument } from '../../encoder/types.ts';
import { WinnowError } from '../../errors.ts';
import type { StorableSource } from '../../indexer/store/storable.ts';
import type { DenseVector, IndexableDocument, IndexableSource, WeightVector } from '../../indexer/types.ts';
import { analyze } from '../text/english-analyzer.ts';
import { TimeSlices } from '../time-slices.ts';
import type { SharedEncoders } from './encoder-source.ts';

/** What the model made of a text. */
export type KnownVector = WeightVector & { readonly dense?: DenseVector };

const NO_WEIGHTS: EncodedDocument = { termIds: new Uint16Array(0), weights: new Float32Array(0) };

/** Makes of sources what an index stores of them: weighted terms, words and tokens of their texts. */
export class SourceEncoder {
  private readonly model: Model;
  readonly lexicalOnly: boolean;
  private readonly encoders: SharedEncoders;
  /** Shared by overlapping calls. One that fails to start is forgotten, so that a later call can try again. */
  private encoder: Promise<DocumentEncoder> | undefined;
  private started: DocumentEncoder | undefined;

  /** @param lexicalOnly words only: no model runs */
  constructor(model: Model, lexicalOnly: boolean, encoders: SharedEncoders) {
    this.model = model;
    this.lexicalOnly = lexicalOnly;
    this.encoders = encoders;
  }

  /** Arithmetic of the encoder; undefined before it has started. */
  get backend(): string | undefined {
    return this.started?.backend;
  }

  /** @param knownOf vectors of the documents of a source that need not be encoded, in their order; undefined for the others */
  async encode(
    sources: readonly StorableSource[],
    knownOf: (source: StorableSource) => readonly (KnownVector | undefined)[] = () => [],
  ): Promise<IndexableSource[]> {
    const known = sources.map(knownOf);
    const texts = sources.flatMap(({ documents }, at) =>
      documents.filter((_, i) => !known[at]![i]).map(searchableText),
    );
    const vectors = await this.vectors(texts);
    const slices = new TimeSlices();
    let next = 0;
    const encoded: IndexableSource[] = [];
    for (const [at, { id, contentHash, documents }] of sources.entries()) {
      const ready: IndexableDocument[] = [];
      for (const [i, document] of documents.entries()) {
        ready.push(indexableDocument(document, known[at]![i] ?? vectors[next++]!, this.model));
        await slices.pause();
      }
      encoded.push({ id, contentHash, documents: ready });
    }
    return encoded;
  }

  /**
   * The vector of a query, for the model has a second output.
   *
   * @throws the signal's reason when it is aborted; WinnowError WINNOW_NO_VECTORS with a backend that makes none
   */
  async encodeQuery(query: string, signal?: AbortSignal): Promise<Float32Array> {
    this.started = await this.start();
    if (!this.started.encodeQuery)
      throw new WinnowError('WINNOW_NO_VECTORS', `the backend ${this.started.backend} makes no vectors`, {
        place: 'rerank',
        hint: 'use native, wasm or reference',
      });
    return this.started.encodeQuery(query, { signal });
  }

  /** Starts the encoder's threads, which the first call that needs them does otherwise. */
  async warmUp(): Promise<void> {
    this.started = await this.start();
  }

  /** Ends the encoder's threads, unless other indexes use them. Never rejects. */
  async close(): Promise<void> {
    try {
      await this.encoder;
      if (this.encoder) await this.encoders.release(this.model);
    } catch {
      // It did not start, or ended by itself: the call of encode() has the error, and there is nothing left to end.
    }
  }

  /** One per text; empty ones in an index of words alone. @throws the signal's reason when it is aborted */
  async vectors(texts: readonly string[], signal?: AbortSignal): Promise<readonly EncodedDocument[]> {
    if (this.lexicalOnly) return texts.map(() => NO_WEIGHTS);
    if (texts.length === 0) return [];
    this.started = await this.start();
    return this.started.encode(texts, { signal });
  }

  private async start(): Promise<DocumentEncoder> {
    this.encoder ??= this.encoders.acquire(this.model);
    const starting = this.encoder;
    try {
      return await starting;
    } catch (error) {
      if (this.encoder === starting) this.encoder = undefined;
      throw error;
    }
  }
}

/** The part of a document that is encoded and searched: its title and its text. */
export const searchableText = ({ title, text }: { readonly title: string; readonly text: string }): string =>
  title ? `${title} ${text}` : text;

/** A document with all that an index stores of its text. @param vector empty in an index of words alone */
export function indexableDocument(
  document: IndexableDocument['document'],
  { dense, ...vector }: KnownVector,
  model: Model,
): IndexableDocument {
  const text = searchableText(document);
  const words = analyze(text);
  // Subword ids say which terms of a vector are in the text: a document without terms needs none.
  if (vector.termIds.length === 0) return { document, vector, dense, words };
  return { document, vector, dense, words, subwordIds: model.query.tokenizer.encode(text) };
}
