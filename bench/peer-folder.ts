import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TransformerConfig } from '../encoder/transformer/config.ts';

/** Names that @huggingface/transformers gives to files of a precision. */
export const ONNX_FILES = { f32: 'model.onnx', int8: 'model_quantized.onnx' } as const;

/**
 * Writes a folder that @huggingface/transformers reads.
 *
 * @param model gives config and tokenizer
 * @param architecture class in Hugging Face's Transformers, such as `BertForMaskedLM`
 * @param files exports of the model; those that are absent are not written
 */
export function writePeerFolder(
  folder: string,
  model: { readonly folder: string; readonly config: TransformerConfig },
  architecture: string,
  files: { readonly [precision in keyof typeof ONNX_FILES]?: Buffer | undefined },
): void {
  mkdirSync(join(folder, 'onnx'), { recursive: true });
  for (const [precision, name] of Object.entries(ONNX_FILES)) {
    const file = files[precision as keyof typeof ONNX_FILES];
    if (file !== undefined) writeFileSync(join(folder, 'onnx', name), file);
  }
  const json = (name: string, value: object) => writeFileSync(join(folder, name), JSON.stringify(value));
  json('config.json', { ...model.config, model_type: 'bert', architectures: [architecture] });
  json('tokenizer_config.json', {
    tokenizer_class: 'BertTokenizer',
    pad_token: '[PAD]',
    model_max_length: 512,
    do_lower_case: true,
  });
  cpSync(join(model.folder, 'tokenizer.json'), join(folder, 'tokenizer.json'));
}

/** Calls `use` with an empty folder, which is removed afterwards. */
export async function withScratch<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
  const scratch = mkdtempSync(join(tmpdir(), 'winnow-bench-'));
  try {
    return await use(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
