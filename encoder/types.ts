/** A sparse vector over the WordPiece vocabulary: `termIds` strictly ascending (0..vocabSize-1), `weights` > 0, same length. */
export interface SparseVector {
  readonly termIds: Uint16Array;
  readonly weights: Float32Array;
}

/** A vector of length 1 as int8 numbers: number j is `values[j] * scale`, scale > 0. */
export interface DenseVector {
  readonly values: Int8Array;
  readonly scale: number;
}

/** What a document becomes. */
export interface EncodedDocument extends SparseVector {
  /** For reranking; only from models with a second output, and not from the backend `onnx`. */
  readonly dense?: DenseVector;
}

/**
 * The arithmetic that computes document vectors; all agree on the terms within a stated tolerance. `onnx` runs the model
 * folder's onnx/model.onnx through @huggingface/transformers, the others run its weights.winnow on the kernels.
 */
export const ENCODER_BACKENDS = ['native', 'wasm', 'reference', 'onnx'] as const;
export type EncoderBackend = (typeof ENCODER_BACKENDS)[number];

/**
 * Turns texts into sparse document vectors: weight(t) = max over tokens of log(1 + relu(logit)), special ids 0
 * (SPLADE-doc; Geng et al., arXiv 2411.04403, section 3.1). Calls may overlap; they share the threads.
 */
export interface DocumentEncoder {
  readonly backend: EncoderBackend;
  /** Model folder name, e.g. `winnow-mini`. */
  readonly modelName: string;
  /** Hash of the weights, tokenizer and idf; an index rejects vectors of another model. */
  readonly modelHash: string;
  /**
   * One vector per text, in the same order. Texts longer than the model's window (512 tokens) are cut at the window; split
   * them into passages first. An aborted signal rejects with its reason; `onnx` looks at it before it begins only.
   */
  encode(
    texts: readonly string[],
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<EncodedDocument[]>;
  /**
   * The vector of a query, of length 1, to compare with those of documents: one pass over its tokens, which goes before waiting
   * documents. Absent where the model has no second output, and with the backend `onnx`.
   */
  encodeQuery?(query: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<Float32Array>;
  /** Ends worker threads and frees the weights; the encoder cannot be used afterwards. */
  close(): Promise<void>;
}
