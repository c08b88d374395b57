/** A sparse vector over the WordPiece vocabulary: `termIds` strictly ascending (0..vocabSize-1), `weights` > 0, same length. */
export interface SparseVector {
  readonly termIds: Uint16Array;
  readonly weights: Float32Array;
}

/** Which arithmetic computes document vectors; all agree on the terms within a stated tolerance. */
export type EncoderBackend = 'native' | 'wasm' | 'reference' | 'onnx';

/**
 * Turns texts into sparse document vectors: weight(t) = max over tokens of log(1 + relu(logit)), special ids 0
 * (SPLADE-doc; Geng et al., arXiv 2411.04403, section 3.1).
 */
export interface DocumentEncoder {
  readonly backend: EncoderBackend;
  /** Model folder name, e.g. `winnow-mini`. */
  readonly modelName: string;
  /** Hash of the weights, tokenizer and idf; an index refuses vectors of another model. */
  readonly modelHash: string;
  /** Texts longer than the model's window (512 tokens) are cut at the window; split them into passages first. */
  encode(texts: readonly string[]): Promise<SparseVector[]>;
  /** Ends worker threads and frees the weights; the encoder cannot be used afterwards. */
  close(): Promise<void>;
}
