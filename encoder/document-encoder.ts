import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../errors.ts';
import { quantizeVector } from './dense-vector.ts';
import { asQuery, encoderHead } from './encoder-head.ts';
import type { Model } from './model.ts';
import { createOnnxEncoder } from './onnx-encoder.ts';
import { sparseHead } from './sparse-head.ts';
import { InferencePool } from './transformer/inference-pool.ts';
import type { DocumentEncoder, EncoderBackend } from './types.ts';

export interface DocumentEncoderOptions {
  /** Arithmetic to use; default: the fastest that runs here (native, else wasm, else reference). */
  readonly backend?: EncoderBackend | undefined;
  /** Worker threads, 0..64 (0 = the calling thread); default: the cores, at most 8. `onnx`: threads of its runtime. */
  readonly threads?: number | undefined;
  /** Tokens in flight per thread, which bounds memory; default 1,024. Has no effect with `onnx`. */
  readonly maxBatchTokens?: number | undefined;
}

/**
 * Loads a model's weights and starts its threads.
 *
 * @throws WinnowError WINNOW_MODEL_INVALID, WINNOW_KERNEL_UNAVAILABLE; with `onnx` also WINNOW_BAD_ARGUMENT for a model
 *   without onnx/model.onnx and WINNOW_MISSING_PACKAGE
 */
export async function createDocumentEncoder(
  model: Model,
  options: DocumentEncoderOptions = {},
): Promise<DocumentEncoder> {
  const { backend, threads, maxBatchTokens } = options;
  const identity = { modelName: model.name, modelHash: model.hash };
  if (backend === 'onnx') return { ...identity, ...(await openOnnx(model, threads)) };
  const window = model.config.max_position_embeddings;
  const tokensOf = (text: string) => model.tokenizer.encodeWindow(text, window);
  const sequences = (texts: readonly string[]) => texts.map((text) => ({ ids: tokensOf(text) }));
  const running = { backend, threads, maxBatchTokens };
  if (!model.config.winnow.vector) {
    const pool = InferencePool.create(sparseHead, model.readWeights(), running);
    return {
      ...identity,
      backend: pool.backend,
      encode: async (texts, { signal } = {}) => pool.run(sequences(texts), { signal }),
      close: () => pool.close(),
    };
  }
  const pool = InferencePool.create(encoderHead, model.readWeights(), running);
  return {
    ...identity,
    backend: pool.backend,
    async encode(texts, { signal } = {}) {
      const outputs = await pool.run(sequences(texts), { signal });
      return outputs.map(({ sparse, vector }) => {
        const dense = quantizeVector(vector);
        return dense ? { ...sparse, dense } : sparse;
      });
    },
    async encodeQuery(query, { signal } = {}) {
      const [output] = await pool.run([asQuery(tokensOf(query))], { signal, isUrgent: true });
      return output!.vector;
    },
    close: () => pool.close(),
  };
}

async function openOnnx(
  { folder, config }: Model,
  threads: number | undefined,
): Promise<Pick<DocumentEncoder, 'backend' | 'encode' | 'close'>> {
  if (!existsSync(join(folder, 'onnx', 'model.onnx'))) {
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'the model has no onnx/model.onnx', {
      place: 'backend',
      hint: 'use native, wasm or reference, or export the model as ONNX into its folder',
    });
  }
  // onnxruntime always computes on threads of its own, so 0 becomes 1.
  const encoder = await createOnnxEncoder(folder, {
    threads: threads === undefined ? undefined : Math.max(1, threads),
    weighting: config.winnow,
  });
  return {
    backend: 'onnx',
    encode: async (texts, { signal } = {}) => {
      signal?.throwIfAborted();
      return (await encoder.encode(texts)).vectors;
    },
    close: () => encoder.close(),
  };
}
