import type { TransformerConfig } from '../../transformer/config.ts';
import type { EmbeddingParameters } from '../passes/embedding.ts';
import type { LayerParameters } from '../passes/layer.ts';
import type { ParameterPlanner, Region } from './parameters.ts';

/** What is trained of the body. */
export interface BodyScope {
  /** Upper layers that run in f32 and are trained; 0: the heads alone. */
  readonly layers: number;
  /** Whether the embeddings are trained as well; then `layers` is all of them. */
  readonly embeddings: boolean;
  /** Channels and attention heads of each trained layer; absent: the layer as a whole. */
  readonly slice?: { readonly channels: number; readonly heads: number };
}

/** All of the embeddings is trained. */
export function embeddingParameters(
  planner: ParameterPlanner,
  config: TransformerConfig,
): EmbeddingParameters {
  const table = (name: string, rows: number) =>
    planner.matrix([`bert.embeddings.${name}_embeddings.weight`], rows, config.hidden_size, true);
  return {
    words: table('word', config.vocab_size),
    positions: table('position', config.max_position_embeddings),
    types: table('token_type', config.type_vocab_size),
    norm: planner.norm('bert.embeddings.LayerNorm', config.hidden_size, true),
  };
}

const columnsFrom = (firstColumn: number, columns: number): Region => ({
  firstRow: 0,
  firstColumn,
  rows: 1,
  columns,
});

/**
 * Of a slice are trained: values and outputs of the first heads, and the first channels between the feed-forward maps, on both sides
 * (the coupled structures of S2FT, arXiv 2412.06289, section 3), with the norms and the biases behind them.
 */
export function layerParameters(
  planner: ParameterPlanner,
  { hidden_size: H, intermediate_size: I, num_attention_heads: heads }: TransformerConfig,
  index: number,
  slice: BodyScope['slice'],
): LayerParameters {
  const name = `bert.encoder.layer.${index}`;
  const width = slice ? (slice.heads * H) / heads : 0;
  const channels = slice?.channels ?? 0;
  const columns = (count: number): Region => ({ firstRow: 0, firstColumn: 0, rows: H, columns: count });
  const all = { weight: true, bias: true };
  return {
    queryKeyValue: planner.linear(
      ['query', 'key', 'value'].map((part) => `${name}.attention.self.${part}`),
      3 * H,
      H,
      slice
        ? {
            weight: width > 0 && { firstRow: 2 * H, firstColumn: 0, rows: width, columns: H },
            bias: width > 0 && columnsFrom(2 * H, width),
          }
        : all,
    ),
    attentionOutput: planner.linear(
      [`${name}.attention.output.dense`],
      H,
      H,
      slice ? { weight: width > 0 && columns(width), bias: true } : all,
    ),
    attentionNorm: planner.norm(`${name}.attention.output.LayerNorm`, H, true),
    intermediate: planner.linear(
      [`${name}.intermediate.dense`],
      I,
      H,
      slice
        ? {
            weight: channels > 0 && { firstRow: 0, firstColumn: 0, rows: channels, columns: H },
            bias: channels > 0 && columnsFrom(0, channels),
          }
        : all,
    ),
    output: planner.linear(
      [`${name}.output.dense`],
      H,
      I,
      slice ? { weight: channels > 0 && columns(channels), bias: true } : all,
    ),
    outputNorm: planner.norm(`${name}.output.LayerNorm`, H, true),
  };
}
