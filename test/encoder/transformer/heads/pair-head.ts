import type { TransformerConfig } from '../../../../encoder/transformer/config.ts';
import type { Head } from '../../../../encoder/transformer/head.ts';

/** Offsets of `classifier.weight` f32[1][H] and `classifier.bias` f32[1]. */
interface PairWeights {
  readonly weight: number;
  readonly bias: number;
}

/** One number per pair of texts: a linear map of the [CLS] row, as in BertForSequenceClassification without its pooler. */
export const pairHead: Head<number, TransformerConfig, PairWeights, null, { readonly scores: Float32Array }> =
  {
    workerEntry: 'test/encoder/transformer/heads/pair-worker',
    lastRows: 'first',
    maxBatchSequences: 8,
    planWeights: (planner, { hidden_size }) => ({
      weight: planner.floats('classifier.weight', [1, hidden_size]),
      bias: planner.floats('classifier.bias', [1]),
    }),
    planWorkspace: () => null,
    run({ arena }, { body: { hiddenSize }, work, sequences }, { weight, bias }) {
      const starts = arena.ints(work.starts, sequences);
      const factors = arena.floats(weight, hiddenSize);
      const [offset] = arena.floats(bias, 1);
      return Array.from(starts, (start) => {
        const cls = arena.floats(work.hidden + 4 * start * hiddenSize, hiddenSize);
        return Math.fround(cls.reduce((sum, value, k) => sum + value * factors[k]!, offset!));
      });
    },
    pack: (scores) => ({ scores: Float32Array.from(scores) }),
    unpack: ({ scores }) => [...scores],
  };
