import { createHash } from 'node:crypto';
import { WinnowError } from '../../../errors.ts';
import { asQuery } from '../../encoder-head.ts';
import { pairOf } from '../../rerank/cross-encoder.ts';
import type { TokenSequence } from '../../transformer/batches.ts';
import type { WordPieceTokenizer } from '../../transformer/tokenizer/wordpiece.ts';
import type { SparseVector } from '../../types.ts';
import { targetOf } from '../losses/ranking.ts';
import type { TrainingExample } from '../types.ts';

/** An example whose texts are sequences, by number. */
export interface PreparedExample {
  /** Of its passages; of query and passage in stage `rerank`. */
  readonly sequences: Int32Array;
  /** Of the query alone, where a pass over it gives its vector. */
  readonly querySequence: number | undefined;
  /** Weights of the query's tokens; their sum. Empty in stage `rerank`. */
  readonly query: SparseVector;
  readonly mass: number;
  /** Of its passages; sums to 1. */
  readonly target: Float64Array;
}

export interface PreparedExamples {
  readonly examples: readonly PreparedExample[];
  /** Every text once. */
  readonly sequences: readonly TokenSequence[];
  /** Of everything that training takes from the examples. */
  readonly hash: string;
}

/** How texts become sequences. */
export interface Preparation {
  readonly tokenizer: WordPieceTokenizer;
  readonly maxTokens: number;
  /** `pairs`: query and passage in one sequence, for a cross-encoder. */
  readonly form: 'passages' | 'pairs';
  /** Whether queries are sequences too. */
  readonly withQueries: boolean;
  readonly queryWeights: (query: string) => SparseVector;
}

/** Tokens of a query in a pair at most, as in the product (rerank/cross-encoder.ts), or half of a smaller window. */
const MAX_QUERY_TOKENS = 254;

const NO_QUERY: SparseVector = { termIds: new Uint16Array(0), weights: new Float32Array(0) };

/**
 * Checks the examples and makes their texts sequences, each text once.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT for no examples, an example without passages, or targets that are not a finite number each
 */
export function prepareExamples(
  examples: readonly TrainingExample[],
  preparation: Preparation,
): PreparedExamples {
  if (examples.length === 0) throw badExample('examples', 'there are none');
  const { tokenizer, maxTokens, form, withQueries, queryWeights } = preparation;
  const sequences: TokenSequence[] = [];
  const known = new Map<string, number>();
  const hash = createHash('sha256');
  const numberOf = (key: string, make: () => TokenSequence): number => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const sequence = make();
    hash.update(Uint16Array.from(sequence.ids));
    known.set(key, sequences.push(sequence) - 1);
    return sequences.length - 1;
  };
  const window = (text: string) => tokenizer.encodeWindow(text, maxTokens);
  const pair = (query: string, passage: string): TokenSequence => {
    const most = Math.min(MAX_QUERY_TOKENS, maxTokens >> 1);
    return pairOf(
      tokenizer.encode(query, most),
      Uint16Array.from(tokenizer.encode(passage, maxTokens)),
      maxTokens,
    );
  };
  const prepared = examples.map((example, index): PreparedExample => {
    checkExample(example, index);
    const { query, passages, targets } = example;
    const numbers = passages.map((passage) =>
      form === 'pairs'
        ? numberOf(`${query}\n\n${passage}`, () => pair(query, passage))
        : numberOf(passage, () => ({ ids: window(passage) })),
    );
    const weighted = form === 'pairs' ? NO_QUERY : queryWeights(query);
    const target = targetOf(passages.length, targets);
    hash.update(Int32Array.from(numbers)).update(target).update(weighted.termIds).update(weighted.weights);
    return {
      sequences: Int32Array.from(numbers),
      querySequence: withQueries ? numberOf(`?${query}`, () => asQuery(window(query))) : undefined,
      query: weighted,
      mass: weighted.weights.reduce((sum, weight) => sum + weight, 0),
      target,
    };
  });
  return { examples: prepared, sequences, hash: hash.digest('hex').slice(0, 16) };
}

function checkExample({ passages, targets }: TrainingExample, index: number): void {
  const place = `examples[${index}]`;
  if (passages.length === 0) throw badExample(place, 'an example has no passage');
  if (targets && (targets.length !== passages.length || !targets.every(Number.isFinite)))
    throw badExample(
      place,
      `${passages.length} passages have ${targets.length} targets, or one is no number`,
    );
}

const badExample = (place: string, message: string): WinnowError =>
  new WinnowError('WINNOW_BAD_ARGUMENT', message, {
    place,
    hint: 'an example is a query, one passage or more with the relevant one first, and a target for each or none',
  });
