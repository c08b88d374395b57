import { type CrossEncoder, createCrossEncoder } from '../../encoder/rerank/cross-encoder.ts';
import { DEFAULT_RERANKER, openCrossEncoderModel, withoutEarlyExit } from '../../encoder/rerank/model.ts';
import type { EncoderBackend } from '../../encoder/types.ts';

export interface RerankerOptions {
  /** Bundled reranker or folder of a cross-encoder. Default: the bundled one. */
  readonly reranker?: string;
  /** Whether documents may leave the reranker after its first layers, where its model has an early exit. Default true. */
  readonly earlyExit?: boolean;
  readonly backend?: EncoderBackend | undefined;
  readonly threads?: number | undefined;
}

/** Opens the reranker with the first search that needs it. Overlapping calls share one; one that fails is tried again. */
export class RerankerLoader {
  private readonly options: RerankerOptions;
  private opening: Promise<CrossEncoder> | undefined;

  constructor(options: RerankerOptions) {
    this.options = options;
  }

  /** @throws WinnowError WINNOW_MODEL_NOT_FOUND, WINNOW_MODEL_INVALID, WINNOW_KERNEL_UNAVAILABLE */
  async open(): Promise<CrossEncoder> {
    const { reranker = DEFAULT_RERANKER, earlyExit = true, threads } = this.options;
    // Models in ONNX form are document encoders only.
    const backend = this.options.backend === 'onnx' ? undefined : this.options.backend;
    this.opening ??= (async () => {
      const model = openCrossEncoderModel(reranker);
      return createCrossEncoder(earlyExit ? model : withoutEarlyExit(model), { backend, threads });
    })();
    const opening = this.opening;
    try {
      return await opening;
    } catch (error) {
      if (this.opening === opening) this.opening = undefined;
      throw error;
    }
  }

  /** Never rejects. */
  async close(): Promise<void> {
    try {
      await (await this.opening)?.close();
    } catch {
      // It did not start: the search that needed it has the error.
    }
  }
}
