import { createRequire } from 'node:module';

/** The part of onnxruntime-node that the peers use. */
export interface OnnxSession {
  run(
    feeds: Record<string, object>,
    fetches?: Record<string, object>,
  ): Promise<Record<string, { data: Float32Array }>>;
  release(): Promise<void>;
}

interface OnnxRuntime {
  InferenceSession: { create(model: Uint8Array, options: object): Promise<OnnxSession> };
  Tensor: new (type: string, data: Float32Array | BigInt64Array, dims: readonly number[]) => object;
}

/** The onnxruntime-node that @huggingface/transformers depends on. */
export function loadOnnxRuntime(): OnnxRuntime {
  const require = createRequire(import.meta.url);
  const own = createRequire(require.resolve('@huggingface/transformers'));
  return own('onnxruntime-node') as OnnxRuntime;
}
