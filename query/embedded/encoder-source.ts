import { createDocumentEncoder, type DocumentEncoderOptions } from '../../encoder/document-encoder.ts';
import type { Model } from '../../encoder/model.ts';
import type { DocumentEncoder } from '../../encoder/types.ts';

interface Shared {
  readonly encoder: Promise<DocumentEncoder>;
  users: number;
}

/**
 * Document encoders that several indexes share: those of one model have one encoder, with its threads and one copy of the weights. It
 * starts with the first index that encodes something and ends with the last.
 */
export class SharedEncoders {
  private readonly options: DocumentEncoderOptions;
  /** By hash of the model. */
  private readonly encoders = new Map<string, Shared>();

  constructor(options: DocumentEncoderOptions) {
    this.options = options;
  }

  /**
   * Pair it with {@link release} where it resolves. One that fails to start is forgotten, so that a later call can try again.
   *
   * @throws WinnowError of {@link createDocumentEncoder}
   */
  async acquire(model: Model): Promise<DocumentEncoder> {
    let shared = this.encoders.get(model.hash);
    if (!shared) {
      shared = { encoder: createDocumentEncoder(model, this.options), users: 0 };
      this.encoders.set(model.hash, shared);
    }
    try {
      const encoder = await shared.encoder;
      shared.users++;
      return encoder;
    } catch (error) {
      if (this.encoders.get(model.hash) === shared) this.encoders.delete(model.hash);
      throw error;
    }
  }

  /** Ends the encoder's threads when nobody else uses it. */
  async release(model: Model): Promise<void> {
    const shared = this.encoders.get(model.hash);
    if (!shared || --shared.users > 0) return;
    this.encoders.delete(model.hash);
    await (await shared.encoder).close();
  }
}
