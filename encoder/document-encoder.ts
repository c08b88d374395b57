import { availableParallelism } from 'node:os';
import { WinnowError } from '../errors.ts';
import { createForward } from './backends/forward.ts';
import type { Model } from './model-file.ts';
import type { DocumentEncoder, EncoderBackend } from './types.ts';

export interface DocumentEncoderOptions {
  /** Arithmetic to use; default: the fastest that runs here (native, else wasm, else reference). */
  readonly backend?: EncoderBackend | undefined;
  /** Worker threads, 0..64 (0 = the calling thread); default: the cores, at most 8. */
  readonly threads?: number | undefined;
  /** Tokens in flight a thread, which bounds memory; default 1,024. */
  readonly maxBatchTokens?: number | undefined;
}

/**
 * Loads a model's weights and starts its threads.
 *
 * @throws WinnowError WINNOW_MODEL_INVALID, WINNOW_KERNEL_UNAVAILABLE
 */
export async function createDocumentEncoder(
  model: Model,
  options: DocumentEncoderOptions = {},
): Promise<DocumentEncoder> {
  const { tokenizer } = model.query;
  const { backend, threads = availableThreads(), maxBatchTokens } = options;
  if (backend === 'onnx') {
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'a bundled model has no ONNX file', {
      place: 'backend',
      hint: 'use native, wasm or reference',
    });
  }
  const forward = createForward(model.readWeights(), { backend, threads, maxBatchTokens });
  const window = model.config.max_position_embeddings;
  return {
    backend: forward.backend,
    modelName: model.name,
    modelHash: model.hash,
    encode: (texts) => forward.encode(texts.map((text) => ({ ids: tokenizer.encodeWindow(text, window) }))),
    close: () => forward.close(),
  };
}

const availableThreads = (): number => Math.min(8, availableParallelism());
