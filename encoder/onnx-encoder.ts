import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type * as Transformers from '@huggingface/transformers';
import { WinnowError } from '../errors.ts';
import { type TermWeighting, termWeight } from './term-weight.ts';
import { SPECIAL_IDS } from './transformer/tokenizer/wordpiece.ts';
import type { SparseVector } from './types.ts';

export interface OnnxEncoderOptions {
  /** Which export: `fp32` is onnx/model.onnx, `q8` is onnx/model_quantized.onnx, and so on; default `fp32`. */
  readonly dtype?: 'fp32' | 'fp16' | 'q8' | 'int8' | 'uint8' | 'q4' | undefined;
  /** onnxruntime's threads; default its own choice. */
  readonly threads?: number | undefined;
  /** How logits become weights; default `log1p` with exponent 1. */
  readonly weighting?: TermWeighting | undefined;
}

const PLAIN: TermWeighting = { activation: 'log1p', exponent: 1 };

/** A sparse encoder exported as ONNX: any masked-language model whose output is `logits`. */
export interface OnnxEncoder {
  /**
   * Encodes one text per run: without padding, and with one [tokens][vocabulary] buffer at a time. Texts are cut at the
   * model's window.
   *
   * @returns one vector per text, and the tokens of all texts
   */
  encode(texts: readonly string[]): Promise<{ vectors: SparseVector[]; tokens: number }>;
  close(): Promise<void>;
}

/**
 * Opens a folder (config.json, tokenizer.json, tokenizer_config.json, onnx/model.onnx) through @huggingface/transformers,
 * which is loaded only here. Nothing is downloaded.
 *
 * `logits` may be [1][tokens][V], or [1][V] when the export already takes the activated maximum over tokens; then only the
 * exponent is left to apply.
 *
 * @throws WinnowError WINNOW_MODEL_NOT_FOUND, WINNOW_MODEL_INVALID, WINNOW_MISSING_PACKAGE
 */
export async function createOnnxEncoder(
  folder: string,
  options: OnnxEncoderOptions = {},
): Promise<OnnxEncoder> {
  const { dtype = 'fp32', threads, weighting = PLAIN } = options;
  if (!existsSync(join(folder, 'config.json'))) {
    throw new WinnowError('WINNOW_MODEL_NOT_FOUND', `no ONNX model folder "${folder}"`, {
      hint: 'name a folder with config.json, tokenizer.json and onnx/model.onnx',
    });
  }
  const { AutoModelForMaskedLM, AutoTokenizer, env } = await transformers();
  // The package looks up names below its model folder, which is a global setting.
  const before = env.localModelPath;
  env.localModelPath = dirname(resolve(folder));
  const name = basename(resolve(folder));
  const session = threads === undefined ? {} : { intraOpNumThreads: threads, interOpNumThreads: 1 };
  try {
    const tokenizer = await AutoTokenizer.from_pretrained(name, { local_files_only: true });
    const model = await AutoModelForMaskedLM.from_pretrained(name, {
      local_files_only: true,
      dtype,
      device: 'cpu',
      session_options: session,
    });
    return {
      async encode(texts) {
        const vectors: SparseVector[] = [];
        let tokens = 0;
        for (const text of texts) {
          const inputs = tokenizer(text, { truncation: true });
          const { logits } = await model(inputs);
          tokens += inputs.input_ids.dims.at(-1) ?? 0;
          vectors.push(sparsify(logits.data as Float32Array, logits.dims as number[], weighting));
          logits.dispose();
        }
        return { vectors, tokens };
      },
      close: async () => {
        await model.dispose();
      },
    };
  } catch (cause) {
    throw new WinnowError('WINNOW_MODEL_INVALID', `the ONNX model does not load: ${String(cause)}`, {
      place: folder,
      cause,
    });
  } finally {
    env.localModelPath = before;
  }
}

function sparsify(logits: Float32Array, dims: readonly number[], weighting: TermWeighting): SparseVector {
  const vocabulary = dims.at(-1)!;
  const pooled = dims.length === 2;
  const best = logits.slice(0, vocabulary);
  for (let at = vocabulary; !pooled && at < logits.length; at += vocabulary) {
    for (let term = 0; term < vocabulary; term++) {
      if (logits[at + term]! > best[term]!) best[term] = logits[at + term]!;
    }
  }
  const termIds: number[] = [];
  const weights: number[] = [];
  for (let term = 0; term < vocabulary; term++) {
    if (!(best[term]! > 0) || SPECIAL_IDS.has(term)) continue;
    termIds.push(term);
    weights.push(pooled ? best[term]! ** weighting.exponent : termWeight(best[term]!, weighting));
  }
  return { termIds: Uint16Array.from(termIds), weights: Float32Array.from(weights) };
}

/** The package that runs ONNX models. It is optional: with its runtimes it has 430 MB, and a search needs none of it. */
async function transformers(): Promise<typeof Transformers> {
  try {
    return await import('@huggingface/transformers');
  } catch (cause) {
    throw new WinnowError('WINNOW_MISSING_PACKAGE', '@huggingface/transformers cannot be loaded', {
      hint: 'run: npm install @huggingface/transformers',
      cause,
    });
  }
}
