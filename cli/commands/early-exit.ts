import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { EARLY_EXIT_FILE, encodeEarlyExit } from '../../encoder/rerank/early-exit.ts';
import {
  type CrossEncoderModel,
  DEFAULT_RERANKER,
  openCrossEncoderModel,
  withoutEarlyExit,
} from '../../encoder/rerank/model.ts';
import { WinnowError } from '../../errors.ts';
import {
  type ExitSet,
  type FittedExit,
  fitEarlyExit,
  readPairs,
  stoppingAfter,
} from '../../evaluation/calibration/early-exit.ts';
import {
  addEncoderOptions,
  type EncoderCliOptions,
  evalCacheOption,
  number,
  wholeNumber,
} from '../options.ts';
import { printable } from '../printable.ts';
import { readDevelopmentSets } from './development-sets.ts';

interface EarlyExitCliOptions extends EncoderCliOptions {
  readonly reranker?: string;
  readonly layers: number;
  readonly keep: number;
  readonly queries: number;
  readonly depth: number;
  readonly split?: string;
  readonly cache: string;
  readonly write?: boolean;
  readonly json?: boolean;
}

export function registerEarlyExit(model: Command): void {
  const command = model
    .command('early-exit')
    .description(
      'fit a classifier after the first layers of a reranker that tells which documents need not go through the others, ' +
        'and measure on half of the queries what leaving early costs',
    )
    .argument('<dataset...>', 'BEIR folders or .zip files that nothing is reported on afterwards')
    .option('--reranker <folder>', 'cross-encoder (default: the bundled one)')
    .option('--layers <n>', 'layers before the exit', wholeNumber(1, 1000), 3)
    .option('--keep <share>', 'documents of a search that go through all layers', number(0, 1), 0.5)
    .option('--queries <n>', 'queries per data set at most', wholeNumber(2, 100_000), 200)
    .option('--depth <n>', 'documents per query', wholeNumber(2, 1000), 100)
    .option('--split <name>', 'qrels split (default: test)')
    .addOption(evalCacheOption())
    .option('--write', `write ${EARLY_EXIT_FILE} into the reranker's folder`)
    .option('--json', 'print one JSON object');
  addEncoderOptions(command).action(run);
}

async function run(paths: readonly string[], options: EarlyExitCliOptions): Promise<void> {
  const reranker = withoutEarlyExit(openCrossEncoderModel(options.reranker ?? DEFAULT_RERANKER));
  const { layers, keep } = options;
  const { num_hidden_layers: all, winnow } = reranker.config;
  if (layers >= all)
    throw new WinnowError('WINNOW_BAD_ARGUMENT', `--layers must be below the ${all} layers of the model`, {
      place: '--layers',
      hint: 'half of the layers is a good choice',
    });
  const sets = await exitSets(paths, reranker, options);
  const found = fitEarlyExit(sets, { mix: winnow.mix, depth: layers / all });
  print(found, sets, options.json);
  if (!options.write) return;
  const file = encodeEarlyExit(reranker.weightsHash, { layers, keep }, found.classifier);
  writeFileSync(join(reranker.folder, EARLY_EXIT_FILE), file);
}

/** The pairs of every data set, read by the whole model. */
async function exitSets(
  paths: readonly string[],
  reranker: CrossEncoderModel,
  options: EarlyExitCliOptions,
): Promise<ExitSet[]> {
  const { layers, queries, depth, backend, threads } = options;
  const probe = stoppingAfter(reranker, layers, {
    backend: backend === 'onnx' ? undefined : backend,
    threads,
  });
  try {
    return await readDevelopmentSets(
      paths,
      options,
      { label: 'early exit', step: 'read' },
      (dataset, index, onQuery) => readPairs(dataset, index, probe, { queries, depth }, onQuery),
    );
  } finally {
    await probe.close();
  }
}

function print({ correlation, rows }: FittedExit, sets: readonly ExitSet[], json = false): void {
  if (json) {
    console.log(JSON.stringify({ datasets: sets.map(({ name }) => name), correlation, rows }));
    return;
  }
  const line = (cells: readonly string[]) => console.log(cells.map((cell) => cell.padStart(8)).join(' '));
  console.log(`correlation of estimates and logits: ${correlation.toFixed(3)}`);
  line(['keep', 'work', 'nDCG@10', ...sets.map(({ name }) => printable(name).slice(0, 8))]);
  for (const { keep, work, mean, ndcg } of rows)
    line([`${keep}`, work.toFixed(2), ...[mean, ...ndcg].map((value) => value.toFixed(4))]);
}
