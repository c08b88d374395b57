import { readFileSync } from 'node:fs';
import { WinnowError } from '../../errors.ts';

/** Shape of a BERT body, in the fields of Hugging Face's `config.json`. A head may add fields of its own. */
export interface TransformerConfig {
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly intermediate_size: number;
  readonly vocab_size: number;
  /** Longest sequence in tokens. */
  readonly max_position_embeddings: number;
  readonly type_vocab_size: number;
  readonly layer_norm_eps: number;
}

const POSITIVE_FIELDS = [
  'hidden_size',
  'num_hidden_layers',
  'num_attention_heads',
  'intermediate_size',
  'vocab_size',
  'max_position_embeddings',
  'type_vocab_size',
  'layer_norm_eps',
] as const satisfies readonly (keyof TransformerConfig)[];

/**
 * Reads `config.json` and checks the fields of the body. Other fields are returned as they are in the file, unchecked.
 *
 * @throws WinnowError WINNOW_MODEL_INVALID when the file is not JSON, or a field is missing or not positive
 */
export function readTransformerConfig(path: string): TransformerConfig & Readonly<Record<string, unknown>> {
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new WinnowError('WINNOW_MODEL_INVALID', 'config.json cannot be read', { place: path, cause });
  }
  for (const field of POSITIVE_FIELDS) {
    const value = config[field];
    if (!(typeof value === 'number' && value > 0)) {
      throw new WinnowError('WINNOW_MODEL_INVALID', `config field "${field}" is missing or not positive`, {
        place: path,
      });
    }
  }
  return config as unknown as TransformerConfig & Record<string, unknown>;
}
