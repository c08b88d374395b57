import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type * as Transformers from '@huggingface/transformers';
import { WinnowError } from '../../errors.ts';
import { type TermWeighting, termWeight } from '../term-weight.ts';
import type { SparseVector } from '../types.ts';
import { SPECIAL_IDS } from '../wordpiece.ts';

export interface OnnxEncoderOptions {
  /** Which export: `fp32` is onnx/model.onnx, `q8` onnx/model_quantized.onnx, and so on; default `fp32`. */
  readonly dtype?: 'fp32' | 'fp16' | 'q8' | 'int8' | 'uint8' | 'q4' | undefined;
  /** onnxruntime's threads; default its own choice. */
  readonly threads?: number | undefined;
  /** How logits become weights; default `log1p` as it is. */
  readonly weighting?: TermWeighting | undefined;
  /** Allow a name that is not a local folder, i.e. a download by @huggingface/transformers; default false. */
  readonly allowDownload?: boolean | undefined;
}

const PLAIN: TermWeighting = { activation: 'log1p', exponent: 1 };

/** A sparse encoder exported as ONNX: any masked-language model whose output is `logits`. */
export interface OnnxEncoder {
  /** Texts are cut at the model's window. One text a run: no padding, and one [tokens][vocabulary] buffer at a time. */
  encode(texts: readonly string[]): Promise<{ vectors: SparseVector[]; tokens: number }>;
  close(): Promise<void>;
}

/**
 * Opens a folder (config.json, tokenizer.json, tokenizer_config.json, onnx/model.onnx) or a model name through
 * @huggingface/transformers, which is loaded only here.
 *
 * `logits` may be [1][tokens][V], or [1][V] when the export already takes the activated maximum over tokens; then only the
 * exponent is left to apply.
 *
 * @throws WinnowError WINNOW_MODEL_NOT_FOUND, WINNOW_MODEL_INVALID, WINNOW_MISSING_PACKAGE
 */
export async function createOnnxEncoder(
  nameOrFolder: string,
  options: OnnxEncoderOptions = {},
): Promise<OnnxEncoder> {
  const { dtype = 'fp32', threads, weighting = PLAIN, allowDownload = false } = options;
  const local = existsSync(join(nameOrFolder, 'config.json'));
  if (!local && !allowDownload) {
    throw new WinnowError('WINNOW_MODEL_NOT_FOUND', `no ONNX model folder "${nameOrFolder}"`, {
      hint: 'name a folder with config.json, tokenizer.json and onnx/model.onnx',
    });
  }
  const { AutoModelForMaskedLM, AutoTokenizer, env } = await transformers();
  const folder = resolve(nameOrFolder);
  const before = env.localModelPath;
  if (local) env.localModelPath = dirname(folder);
  const name = local ? basename(folder) : nameOrFolder;
  const session = threads === undefined ? {} : { intraOpNumThreads: threads, interOpNumThreads: 1 };
  try {
    const common = { local_files_only: local };
    const tokenizer = await AutoTokenizer.from_pretrained(name, common);
    const model = await AutoModelForMaskedLM.from_pretrained(name, {
      ...common,
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
      place: nameOrFolder,
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

/** The package that runs ONNX models. It is optional: with its runtimes it is larger than all else, and a search needs none of it. */
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
