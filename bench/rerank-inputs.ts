// What `bench rerank` feeds: pairs of real texts, and copies of a cross-encoder with pruned weights.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readBeirTopics } from '../corpus/beir.ts';
import { pairOf } from '../encoder/rerank/cross-encoder.ts';
import { detectPattern, type SparsePattern } from '../encoder/transformer/sparse-storage.ts';
import { CLS_ID, SEP_ID, type WordPieceTokenizer } from '../encoder/transformer/tokenizer/wordpiece.ts';
import type { ModelWeights, Tensor } from '../encoder/transformer/weights-file.ts';
import { WinnowError } from '../errors.ts';

export interface TextPair {
  readonly query: string;
  readonly passage: string;
  /** The query alone, with [CLS] and [SEP]. */
  readonly queryIds: readonly number[];
  readonly ids: readonly number[];
  readonly typeIds: readonly number[];
}

/** Pairs with fewer tokens are left out; longer passages are cut at a word. */
const FEWEST_TOKENS = 120;

/**
 * Queries with the documents that were judged for them, in the order of the judgements, evenly taken from all of them. Passages are
 * cut to the longest beginning of whole words with which the pair has at most `tokens` tokens.
 *
 * @param folder evaluation set in BEIR's form
 */
export async function readPairs(
  folder: string,
  tokenizer: WordPieceTokenizer,
  count: number,
  tokens: number,
): Promise<TextPair[]> {
  const { queries, qrels } = await readBeirTopics(folder);
  const texts = new Map<string, string>();
  for (const line of readFileSync(join(folder, 'corpus.jsonl'), 'utf8').split('\n').filter(Boolean)) {
    const { _id, title = '', text = '' } = JSON.parse(line);
    texts.set(_id, `${title} ${text}`.trim());
  }
  const fewest = Math.min(tokens, FEWEST_TOKENS);
  const pairs = queries.flatMap(({ id, text: query }) =>
    [...qrels.get(id)!.keys()]
      .map((document) => cutPair(query, texts.get(document) ?? '', tokenizer, tokens))
      .filter(({ ids }) => ids.length >= fewest),
  );
  if (pairs.length < count) {
    throw new WinnowError('WINNOW_BAD_DATASET', `only ${pairs.length} judged pairs have ${fewest} tokens`, {
      place: folder,
      hint: `name an evaluation set with longer documents, or fewer than ${count} pairs`,
    });
  }
  return Array.from({ length: count }, (_, i) => pairs[Math.floor((i * pairs.length) / count)]!);
}

function cutPair(query: string, text: string, tokenizer: WordPieceTokenizer, tokens: number): TextPair {
  const queryIds = tokenizer.encode(query);
  const room = tokens - queryIds.length - 3;
  const words = text.split(/\s+/);
  let passage = '';
  for (const word of words) {
    const longer = passage === '' ? word : `${passage} ${word}`;
    if (tokenizer.encode(longer).length > room) break;
    passage = longer;
  }
  const { ids, typeIds } = pairOf(queryIds, Uint16Array.from(tokenizer.encode(passage)), tokens);
  return {
    query,
    passage,
    queryIds: [CLS_ID, ...queryIds, SEP_ID],
    ids: Array.from(ids),
    typeIds: Array.from(typeIds!),
  };
}

/** The six products of every layer. */
const PRODUCTS =
  /^bert\.encoder\.layer\.\d+\.(attention\.(self\.\w+|output\.dense)|intermediate\.dense|output\.dense)\.weight$/;

/**
 * The same model with the smallest weights of every product set to 0: all but 4 or 8 of 16 consecutive inputs, or all but the
 * quarter of the 4x1 blocks of a matrix with the largest norms. Such a model ranks badly; it is as fast as a trained one.
 */
export function pruned<Model extends ModelWeights>(model: Model, pattern: SparsePattern): Model {
  const tensors = new Map([...model.tensors].map(([name, tensor]) => [name, prune(name, tensor, pattern)]));
  return { ...model, tensors };
}

/**
 * The same model without zeros that a kernel could skip: a model whose products are sparse gets small weights in their place. Such
 * a model ranks badly; it is as slow as a dense one.
 */
export function dense<Model extends ModelWeights>(model: Model): Model {
  let state = 1;
  const small = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state & 0x80000000 ? 1 : -1;
  };
  const tensors = [...model.tensors].map(([name, tensor]): [string, Tensor] => {
    if (tensor.dtype !== 'i8' || !PRODUCTS.test(name) || !isSparse(tensor)) return [name, tensor];
    const { shape, scales, data } = tensor;
    return [name, { dtype: 'i8', shape, scales, data: data.map((weight) => weight || small()) }];
  });
  return { ...model, tensors: new Map(tensors) };
}

/** Whether kernels would skip zeros of a matrix. */
const isSparse = ({ data, shape }: Extract<Tensor, { dtype: 'i8' }>): boolean =>
  detectPattern(data, shape[1]) !== undefined;

/** Whether products of a model are sparse as they are. */
export const hasSparseProducts = ({ tensors }: ModelWeights): boolean =>
  [...tensors].some(([name, tensor]) => tensor.dtype === 'i8' && PRODUCTS.test(name) && isSparse(tensor));

/**
 * A document encoder with a second output: as it is, or with a map of pseudo-random weights where it has none, which is as fast
 * as a trained one.
 */
export function withVector(model: ModelWeights, size: number): ModelWeights {
  if (model.tensors.has('dense.weight')) return model;
  const values = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * i));
  return {
    ...model,
    tensors: new Map([
      ...model.tensors,
      [
        'dense.weight',
        {
          dtype: 'f32',
          shape: [size, model.config.hidden_size],
          data: values(size * model.config.hidden_size),
        },
      ],
      ['dense.bias', { dtype: 'f32', shape: [size], data: new Float32Array(size) }],
    ]),
  };
}

function prune(name: string, tensor: Tensor, pattern: SparsePattern): Tensor {
  if (tensor.dtype !== 'i8' || !PRODUCTS.test(name)) return tensor;
  const { data, scales, shape } = tensor;
  const inputs = shape[1];
  // A share of the largest of each group is kept: 16 inputs, or 64 blocks of an output.
  const [unit, group, keep] = pattern === '4x1' ? [4, inputs, inputs / 16] : [1, 16, Number(pattern[0])];
  const kept = new Int8Array(data.length);
  for (let from = 0; from < data.length; from += group) {
    const units = Array.from({ length: group / unit }, (_, i) => from + i * unit);
    const size = (at: number) =>
      data.subarray(at, at + unit).reduce((sum, weight) => sum + weight * weight, 0);
    const ranked = units.map((at) => ({ at, size: size(at) })).sort((a, b) => b.size - a.size);
    for (const { at } of ranked.slice(0, keep)) kept.set(data.subarray(at, at + unit), at);
  }
  return { dtype: 'i8', shape, data: kept, scales, pattern };
}
