// The model folders of `bench rerank`: Winnow's own files beside exports for the peers.
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Model, ModelConfig } from '../encoder/model.ts';
import type { CrossEncoderModel } from '../encoder/rerank/model.ts';
import type { SparsePattern } from '../encoder/transformer/sparse-storage.ts';
import { encodeWeights, type ModelWeights } from '../encoder/transformer/weights-file.ts';
import { exportCrossEncoder, exportVectorEncoder } from './onnx-export.ts';
import type { OnnxPrecision } from './onnx-graph.ts';
import { ONNX_FILES, writePeerFolder } from './peer-folder.ts';
import { dense, hasSparseProducts, pruned, withVector } from './rerank-inputs.ts';

/** A model that is measured: the cross-encoder as it is, with other zeros, or the encoder of the vector stage. */
export type Variant = 'as it is' | 'dense' | SparsePattern | 'vector';

/** Numbers per vector where the encoder has no second output. */
const VECTOR_SIZE = 384;

/** Where the files of a variant are, and the bytes of each file of weights. */
export interface VariantFiles {
  readonly folder: string;
  readonly f32: string;
  readonly int8: string;
  readonly bytes: { readonly winnow: number; readonly int8: number };
}

/**
 * Writes a folder per variant, but none for 'as it is' where the products are dense; the peers' int8 export is made of the dense cross-encoder and of the encoder.
 *
 * @param quantized precision of that export
 */
export function writeVariants(
  scratch: string,
  variants: ReadonlySet<Variant>,
  crossEncoder: CrossEncoderModel,
  encoder: Model,
  quantized: OnnxPrecision,
): ReadonlyMap<Variant, VariantFiles> {
  const weights = crossEncoder.readWeights();
  const files = new Map<Variant, VariantFiles>();
  for (const variant of variants) {
    const folder = join(scratch, variant.replace(/\W/g, '-'));
    if (variant === 'vector') {
      files.set(variant, writeEncoder(folder, encoder, quantized));
      continue;
    }
    if (variant === 'as it is' && !hasSparseProducts(weights)) continue;
    const model = variantOf(weights, variant);
    const int8 = variant === 'dense' ? exportCrossEncoder(model, quantized) : undefined;
    const f32 = exportCrossEncoder(model, 'f32');
    writePeerFolder(folder, crossEncoder, 'BertForSequenceClassification', { f32, int8 });
    files.set(variant, { ...filesIn(folder), bytes: writeWeights(folder, model.tensors, int8) });
  }
  return files;
}

function variantOf<Weights extends ModelWeights>(
  weights: Weights,
  variant: Exclude<Variant, 'vector'>,
): Weights {
  if (variant === 'as it is') return weights;
  return variant === 'dense' ? dense(weights) : pruned(weights, variant);
}

function writeEncoder(folder: string, encoder: Model, quantized: OnnxPrecision): VariantFiles {
  const settings = encoder.config.winnow.vector ?? {
    size: VECTOR_SIZE,
    query: 'model',
    mix: 0.5,
    depth: 100,
    relevance: { slope: 1, offset: 0 },
  };
  const config: ModelConfig = { ...encoder.config, winnow: { ...encoder.config.winnow, vector: settings } };
  const model = withVector(encoder.readWeights(), settings.size);
  const int8 = exportVectorEncoder(model, quantized);
  const f32 = exportVectorEncoder(model, 'f32');
  writePeerFolder(folder, { ...encoder, config }, 'BertModel', { f32, int8 });
  cpSync(join(encoder.folder, 'idf.json'), join(folder, 'idf.json'));
  return { ...filesIn(folder), bytes: writeWeights(folder, model.tensors, int8) };
}

const filesIn = (folder: string) => ({
  folder,
  f32: join(folder, 'onnx', ONNX_FILES.f32),
  int8: join(folder, 'onnx', ONNX_FILES.int8),
});

function writeWeights(
  folder: string,
  tensors: Parameters<typeof encodeWeights>[0],
  int8: Buffer | undefined,
): VariantFiles['bytes'] {
  const file = encodeWeights(tensors);
  writeFileSync(join(folder, 'weights.winnow'), file);
  return { winnow: file.length, int8: int8?.length ?? 0 };
}
