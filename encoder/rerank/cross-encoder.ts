import { LRUCache } from 'lru-cache';
import type { KernelBackend } from '../../kernels/index.ts';
import type { TokenSequence } from '../transformer/batches.ts';
import { InferencePool } from '../transformer/inference-pool.ts';
import type { PausedSequence } from '../transformer/messages.ts';
import { CLS_ID, SEP_ID } from '../transformer/tokenizer/wordpiece.ts';
import type { CrossEncoderModel, CrossEncoderSettings } from './model.ts';
import { pairHead } from './pair-head.ts';

/** A passage to judge. */
export interface Passage {
  /** Names the text for good: passages with the same key have the same title and text. Their tokens are kept. */
  readonly key: string;
  readonly title: string;
  readonly text: string;
}

export interface CrossEncoderOptions {
  /** Kernel backend; default: the first of native, wasm, reference that loads. */
  readonly backend?: KernelBackend | undefined;
  /** Worker threads, 0..64; default: the cores, at most 8. 0 computes on the calling thread. */
  readonly threads?: number | undefined;
}

/** {@link CrossEncoder.score} in two steps, for a model with an early exit. Throws as it does. */
export interface TwoSteps {
  /**
   * The layers before the exit.
   *
   * @returns per passage an estimate of its logit, and what {@link finish} needs: 4 bytes times hidden size per token
   */
  estimate(
    query: string,
    passages: readonly Passage[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<PausedSequence[]>;
  /** The other layers. @returns the logits that `score` gives for these passages, in every bit */
  finish(
    paused: readonly PausedSequence[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<Float32Array>;
}

/** Judges passages by a transformer that reads them together with the query. Calls may overlap; they share the threads. */
export interface CrossEncoder {
  readonly modelName: string;
  readonly modelHash: string;
  readonly settings: CrossEncoderSettings;
  readonly backend: KernelBackend;
  /**
   * @param query cut to 254 WordPieces; a passage is cut to what is left of the model's window
   * @returns one logit per passage, in their order: the higher, the better the passage answers. It does not depend on the others
   * @throws the signal's reason when it is aborted
   */
  score(
    query: string,
    passages: readonly Passage[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<Float32Array>;
  /** Where the settings have an early exit. */
  readonly early: TwoSteps | undefined;
  /** Ends the threads; calls under way are rejected. */
  close(): Promise<void>;
}

/** Half of a window of 512 without [CLS] and [SEP], so that a long query leaves room for the passage. */
const MAX_QUERY_TOKENS = 254;
/** Bytes of tokens that are kept for passages that come again: some 60,000 passages of 256 tokens. */
const TOKEN_CACHE_BYTES = 32 * 1024 * 1024;

/**
 * Loads a cross-encoder's weights and starts its threads.
 *
 * @throws WinnowError WINNOW_MODEL_INVALID, WINNOW_KERNEL_UNAVAILABLE, WINNOW_BAD_ARGUMENT for an option out of range
 */
export function createCrossEncoder(
  model: CrossEncoderModel,
  { backend, threads }: CrossEncoderOptions = {},
): CrossEncoder {
  const pool = InferencePool.create(pairHead, model.readWeights(), { backend, threads });
  const { tokenizer, config } = model;
  const tokensOf = new LRUCache<string, Uint16Array>({
    maxSize: TOKEN_CACHE_BYTES,
    sizeCalculation: ({ byteLength }, key) => byteLength + 2 * key.length + 64,
  });
  const passageTokens = ({ key, title, text }: Passage): Uint16Array => {
    const known = tokensOf.get(key);
    if (known) return known;
    // What a pair may hold beside an empty query: [CLS], two times [SEP].
    const room = config.max_position_embeddings - 3;
    const tokens = Uint16Array.from(tokenizer.encode(title ? `${title} ${text}` : text, room));
    tokensOf.set(key, tokens);
    return tokens;
  };
  const pairsOf = (query: string, passages: readonly Passage[]): TokenSequence[] => {
    const queryTokens = tokenizer.encode(query, MAX_QUERY_TOKENS);
    return passages.map((passage) =>
      pairOf(queryTokens, passageTokens(passage), config.max_position_embeddings),
    );
  };
  return {
    modelName: model.name,
    modelHash: model.hash,
    settings: config.winnow,
    backend: pool.backend,
    score: async (query, passages, options) =>
      Float32Array.from(await pool.run(pairsOf(query, passages), options)),
    early: config.winnow.earlyExit && {
      estimate: async (query, passages, options) => pool.runEarly(pairsOf(query, passages), options),
      finish: async (paused, options) => Float32Array.from(await pool.resume(paused, options)),
    },
    close: () => pool.close(),
  };
}

/** `[CLS] query [SEP] passage [SEP]`, the passage cut to fit the window. */
export function pairOf(query: readonly number[], passage: Uint16Array, window: number): TokenSequence {
  const first = query.length + 2;
  const kept = Math.min(passage.length, window - first - 1);
  const ids = new Uint16Array(first + kept + 1);
  ids[0] = CLS_ID;
  ids.set(query, 1);
  ids[first - 1] = SEP_ID;
  ids.set(passage.subarray(0, kept), first);
  ids[first + kept] = SEP_ID;
  return { ids, typeIds: new Uint8Array(ids.length).fill(1, first) };
}
