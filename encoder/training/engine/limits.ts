import type { ModelWeights } from '../../transformer/weights-file.ts';
import type { BatchOrder } from '../data/batches.ts';
import type { PreparedExamples } from '../data/examples.ts';
import type { StateCache } from '../data/states.ts';
import { badOption, type ResolvedOptions } from '../defaults.ts';
import type { BodyScope } from './body-parameters.ts';
import { floatsPerRow, type Outputs, type TrainingLimits } from './plan.ts';

/** Sequences of a group at most: each has some 20 bytes per term of the vocabulary. */
const MOST_SEQUENCES = 64;
/** Offsets in an arena are u32. */
const MOST_BYTES = 3.9e9;

/**
 * How many rows and sequences pass through the model at once: a whole batch where `memoryMB` allows it, else less.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT where the memory does not hold one sequence
 */
export function limitsFor(
  { config, tensors }: ModelWeights,
  run: {
    readonly settings: ResolvedOptions;
    readonly scope: BodyScope;
    readonly outputs: Outputs;
    readonly data: PreparedExamples;
    readonly order: BatchOrder;
    readonly cache: StateCache | undefined;
  },
): TrainingLimits {
  const { settings, scope, data, order, cache, outputs } = run;
  const rowsOf = (sequence: number) => cache?.rows(sequence) ?? data.sequences[sequence]!.ids.length;
  const longest = data.sequences.reduce((most, _, i) => Math.max(most, rowsOf(i)), 1);
  let [mostRows, mostSequences] = [longest, 1];
  for (let step = 0; step < settings.steps; step++) {
    const examples = order.batch(step).map((example) => data.examples[example]!);
    const own = new Set(
      examples.flatMap(({ sequences, querySequence }) =>
        querySequence === undefined ? [...sequences] : [...sequences, querySequence],
      ),
    );
    mostSequences = Math.max(mostSequences, own.size);
    mostRows = Math.max(
      mostRows,
      [...own].reduce((sum, sequence) => sum + rowsOf(sequence), 0),
    );
  }
  const sequences = Math.min(mostSequences, MOST_SEQUENCES);
  const byTerm = outputs.sparse ? 36 * config.vocab_size * sequences : 0;
  const bytes =
    Math.min(settings.memoryMB * 2 ** 20, MOST_BYTES) - weightBytes(config, tensors, scope, outputs) - byTerm;
  const rows = Math.floor(bytes / (4 * floatsPerRow(config, scope)));
  if (rows < longest)
    throw badOption(
      'memoryMB',
      `${settings.memoryMB} does not hold the model and one sequence of ${longest} tokens`,
    );
  return { rows: Math.min(rows, mostRows), sequences, longest };
}

/** Weights of what is planned; those that are trained four times, with their gradients and moments. */
function weightBytes(
  config: ModelWeights['config'],
  tensors: ModelWeights['tensors'],
  { layers, embeddings }: BodyScope,
  { sparse }: Outputs,
): number {
  let bytes = 0;
  for (const [name, { data }] of tensors) {
    const layer = /^bert\.encoder\.layer\.(\d+)\./.exec(name);
    const isWords = name === 'bert.embeddings.word_embeddings.weight';
    if (layer && Number(layer[1]) < config.num_hidden_layers - layers) continue;
    if (name.startsWith('bert.embeddings.') && !embeddings && !(isWords && sparse)) continue;
    bytes += (isWords && !embeddings ? 4 : 16) * data.length + (isWords && sparse ? data.length : 0);
  }
  return bytes;
}
