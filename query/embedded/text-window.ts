import type { Model } from '../../encoder/model.ts';
import type { TextWindow } from '../backend.ts';

/** The part of a text that the encoder of a model reads at a time. */
export function textWindow({ config, query }: Model): TextWindow {
  return {
    // [CLS] and [SEP] take two positions.
    maxTokens: config.max_position_embeddings - 2,
    countTokens: (text) => query.tokenizer.count(text),
  };
}
