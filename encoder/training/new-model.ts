import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../../errors.ts';
import { randomSource } from '../../random.ts';
import { inverseDocumentFrequency } from '../idf-query.ts';
import { DEFAULT_WINNOW_CONFIG, openModel } from '../model.ts';
import { SPECIAL_IDS, WordPieceTokenizer } from '../transformer/tokenizer/wordpiece.ts';
import { encodeWeights, type Tensor } from '../transformer/weights-file.ts';
import { writeAtomically } from './data/atomic-file.ts';
import type { NewModelOptions } from './types.ts';

const DEFAULTS = { vocabulary: 6000, layers: 2, hiddenSize: 128, heads: 4, maxTokens: 256, seed: 1 };
/** Ids up to here keep their place: the special tokens and the unused ones between them. */
const RESERVED_IDS = 104;
const LEAST_VOCABULARY = 600;

/** Deviation of random weights, as in BERT. */
const DEVIATION = 0.02;
/**
 * Deviation of word embeddings times the hidden size, and the bias of the decoder. A token's logit of its own term is then about 5.4 before
 * the bias, whatever the size: it is on, and most others are off.
 */
const WORD_DEVIATION = 7.7;
const DECODER_BIAS = -3;

/**
 * Writes a model folder whose weights are random, for training from nothing. Its vocabulary is that part of the bundled tokenizer's which the
 * texts use most, with all single characters, so that any text has tokens; idf is counted over the texts.
 *
 * It begins as a model of words: a token's state is close to its own embedding, and the decoder is tied to the embeddings.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT for no texts or sizes out of range
 */
export function createModelFolder(options: NewModelOptions): void {
  const given = { ...DEFAULTS, ...options };
  const { texts, target, layers, hiddenSize, heads, maxTokens, seed } = given;
  checkSizes(given);
  const { folder, tokenizer } = openModel();
  const tokens = chooseTokens(tokenizer, texts, given.vocabulary);
  const config = {
    architectures: ['BertForMaskedLM'],
    model_type: 'bert',
    hidden_size: hiddenSize,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: 4 * hiddenSize,
    vocab_size: tokens.length,
    max_position_embeddings: maxTokens,
    type_vocab_size: 2,
    hidden_act: 'gelu',
    layer_norm_eps: 1e-12,
    pad_token_id: 0,
    tie_word_embeddings: true,
    winnow: { ...DEFAULT_WINNOW_CONFIG, maxWeight: 4 },
  };
  const write = (name: string, bytes: Uint8Array) => writeAtomically(join(target, name), bytes);
  const json = (value: unknown) => Buffer.from(`${JSON.stringify(value, null, 1)}\n`);
  mkdirSync(target, { recursive: true });
  write('tokenizer.json', json(tokenizerFile(join(folder, 'tokenizer.json'), tokens)));
  write('idf.json', json(idfTable(new WordPieceTokenizer(tokens), texts)));
  write('weights.winnow', encodeWeights(randomTensors(config, seed)));
  write('config.json', json(config));
}

function checkSizes({
  texts,
  vocabulary,
  layers,
  hiddenSize,
  heads,
  maxTokens,
}: typeof DEFAULTS & NewModelOptions) {
  const fault =
    texts.length === 0
      ? 'there are no texts to count a vocabulary over'
      : !(vocabulary >= LEAST_VOCABULARY && vocabulary <= 30_522)
        ? `vocabulary must be ${LEAST_VOCABULARY}..30522, not ${vocabulary}`
        : !(layers >= 1 && layers <= 48 && maxTokens >= 8 && maxTokens <= 512)
          ? 'layers must be 1..48 and maxTokens 8..512'
          : hiddenSize % (16 * heads) !== 0
            ? `hiddenSize ${hiddenSize} must be a multiple of 16 * ${heads} heads`
            : undefined;
  if (fault) throw new WinnowError('WINNOW_BAD_ARGUMENT', fault, { place: 'model' });
}

/** The reserved tokens, then single characters, then the most frequent others of the texts. */
function chooseTokens(tokenizer: WordPieceTokenizer, texts: readonly string[], size: number): string[] {
  const counts = new Float64Array(tokenizer.vocabularySize);
  for (const text of texts) for (const id of tokenizer.encode(text)) counts[id]!++;
  const isCharacter = (id: number) => [...tokenizer.tokens[id]!.replace(/^##/, '')].length === 1;
  const ids = [...counts.keys()].slice(RESERVED_IDS);
  const byCount = ids.sort((a, b) => counts[b]! - counts[a]! || a - b);
  // Characters that no text has give way where they are too many: they are then [UNK].
  const ordered = [
    ...byCount.filter((id) => isCharacter(id) && counts[id]! > 0),
    ...byCount.filter((id) => isCharacter(id) && counts[id] === 0 && isAscii(tokenizer.tokens[id]!)),
    ...byCount.filter((id) => !isCharacter(id) && counts[id]! > 0),
  ];
  const kept = new Set(ordered.slice(0, size - RESERVED_IDS));
  return tokenizer.tokens.filter((_, id) => id < RESERVED_IDS || kept.has(id));
}

const isAscii = (token: string): boolean => [...token].every((character) => character.charCodeAt(0) < 128);

/** The bundled tokenizer.json with another vocabulary. */
function tokenizerFile(path: string, tokens: readonly string[]): unknown {
  const file = JSON.parse(readFileSync(path, 'utf8')) as { model: object };
  return {
    ...file,
    model: { ...file.model, vocab: Object.fromEntries(tokens.map((token, id) => [token, id])) },
  };
}

/** {@link inverseDocumentFrequency} of each token that a text has. */
function idfTable(tokenizer: WordPieceTokenizer, texts: readonly string[]): Record<string, number> {
  const frequencies = new Float64Array(tokenizer.vocabularySize);
  for (const text of texts) for (const id of new Set(tokenizer.encode(text))) frequencies[id]!++;
  const table: Record<string, number> = {};
  frequencies.forEach((df, id) => {
    if (df > 0 && !SPECIAL_IDS.has(id))
      table[tokenizer.tokens[id]!] = inverseDocumentFrequency(texts.length, df);
  });
  return table;
}

function randomTensors(
  config: {
    readonly hidden_size: number;
    readonly num_hidden_layers: number;
    readonly intermediate_size: number;
    readonly vocab_size: number;
    readonly max_position_embeddings: number;
  },
  seed: number,
): Map<string, Tensor> {
  const { hidden_size: H, intermediate_size: I, vocab_size: V, max_position_embeddings: P } = config;
  const normal = normalSource(seed);
  const tensors = new Map<string, Tensor>();
  const add = (name: string, shape: readonly number[], value: (i: number) => number) => {
    const count = shape.reduce((product, size) => product * size, 1);
    tensors.set(name, {
      dtype: 'f32',
      shape,
      data: Float32Array.from({ length: count }, (_, i) => value(i)),
    });
  };
  const dense = (name: string, outputs: number, inputs: number, start: (i: number) => number = () => 0) => {
    add(`${name}.weight`, [outputs, inputs], (i) => start(i) + DEVIATION * normal());
    add(`${name}.bias`, [outputs], () => 0);
  };
  const norm = (name: string) => {
    add(`${name}.weight`, [H], () => 1);
    add(`${name}.bias`, [H], () => 0);
  };
  add('bert.embeddings.word_embeddings.weight', [V, H], () => (WORD_DEVIATION / H) * normal());
  add('bert.embeddings.position_embeddings.weight', [P, H], () => DEVIATION * normal());
  add('bert.embeddings.token_type_embeddings.weight', [2, H], () => DEVIATION * normal());
  norm('bert.embeddings.LayerNorm');
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const name = `bert.encoder.layer.${layer}`;
    for (const part of ['query', 'key', 'value']) dense(`${name}.attention.self.${part}`, H, H);
    dense(`${name}.attention.output.dense`, H, H);
    norm(`${name}.attention.output.LayerNorm`);
    dense(`${name}.intermediate.dense`, I, H);
    dense(`${name}.output.dense`, H, I);
    norm(`${name}.output.LayerNorm`);
  }
  dense('cls.predictions.transform.dense', H, H, (i) => (Math.floor(i / H) === i % H ? 1 : 0));
  norm('cls.predictions.transform.LayerNorm');
  add('cls.predictions.bias', [V], () => DECODER_BIAS);
  return tensors;
}

/** Numbers of a normal distribution (Box and Muller). */
function normalSource(seed: number): () => number {
  const random = randomSource(seed);
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
