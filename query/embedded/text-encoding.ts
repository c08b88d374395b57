import type { Model } from '../../encoder/model.ts';
import type { SparseVector } from '../../encoder/types.ts';
import { WinnowError } from '../../errors.ts';
import type { Awaitable, EncodedText, EncodeKind } from '../backend.ts';
import { badArgument } from '../check-value.ts';
import { QUERY } from '../request.ts';
import { TimeSlices } from '../time-slices.ts';
import type { SourceEncoder } from './source-encoder.ts';

/** What texts become as documents or as queries, for people and programs that look at the weights themselves. */
export class TextEncoding {
  private readonly weights: (query: string) => Awaitable<SparseVector>;
  private readonly model: Model;
  private readonly encoder: SourceEncoder;

  /** @param weights of the tokens of a query, as searches use them */
  constructor(model: Model, encoder: SourceEncoder, weights: (query: string) => Awaitable<SparseVector>) {
    this.weights = weights;
    this.model = model;
    this.encoder = encoder;
  }

  /**
   * @throws WinnowError WINNOW_UNSUPPORTED for documents of an index of words alone, WINNOW_BAD_ARGUMENT for a query that is too
   *   long; the signal's reason when it is aborted
   */
  async encode(texts: readonly string[], kind: EncodeKind, signal?: AbortSignal): Promise<EncodedText[]> {
    signal?.throwIfAborted();
    return kind === 'document' ? this.documents(texts, signal) : this.queries(texts, signal);
  }

  private async documents(texts: readonly string[], signal?: AbortSignal): Promise<EncodedText[]> {
    if (this.encoder.lexicalOnly)
      throw new WinnowError('WINNOW_UNSUPPORTED', 'an index of words alone has no weights', {
        place: 'kind',
        hint: 'ask an index with a model',
      });
    const encoded = await this.encoder.vectors(texts, signal);
    return encoded.map(({ termIds, weights, dense }) => ({
      terms: this.terms(termIds, weights),
      ...(dense ? { vector: Array.from(dense.values, (value) => value * dense.scale) } : {}),
    }));
  }

  private async queries(texts: readonly string[], signal?: AbortSignal): Promise<EncodedText[]> {
    const tooLong = texts.findIndex((text) => text.length > QUERY.maxLength);
    if (tooLong >= 0)
      throw badArgument(
        `texts.${tooLong}`,
        `is longer than a query may be: ${QUERY.maxLength} characters`,
        'encode it as a document, or shorten it',
      );
    const slices = new TimeSlices();
    const hasVectors = this.model.config.winnow.vector !== undefined && !this.encoder.lexicalOnly;
    const items: EncodedText[] = [];
    for (const text of texts) {
      await slices.pause();
      signal?.throwIfAborted();
      const { termIds, weights } = await this.weights(text);
      const terms = this.terms(termIds, weights);
      items.push(
        hasVectors ? { terms, vector: Array.from(await this.encoder.encodeQuery(text, signal)) } : { terms },
      );
    }
    return items;
  }

  /** Heaviest first. */
  private terms(termIds: Uint16Array, weights: Float32Array): Record<string, number> {
    const { tokens } = this.model.query.tokenizer;
    const entries = Array.from(termIds, (termId, i): [string, number] => [tokens[termId]!, weights[i]!]);
    return Object.fromEntries(entries.sort(([, a], [, b]) => b - a));
  }
}
