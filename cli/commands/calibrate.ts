import type { Command } from 'commander';
import { openModel } from '../../encoder/model.ts';
import { DEFAULT_RERANKER, openCrossEncoderModel } from '../../encoder/rerank/model.ts';
import { type Calibration, calibrate, storeSettings } from '../../evaluation/calibration/calibrate.ts';
import { scoreStages } from '../../evaluation/calibration/stage-scores.ts';
import { addEncoderOptions, type EncoderCliOptions, evalCacheOption, wholeNumber } from '../options.ts';
import { printable } from '../printable.ts';
import { readDevelopmentSets } from './development-sets.ts';

interface CalibrateCliOptions extends EncoderCliOptions {
  readonly reranker?: string;
  readonly queries: number;
  readonly depth: number;
  readonly split?: string;
  readonly cache: string;
  readonly write?: boolean;
  readonly json?: boolean;
}

export function registerCalibrate(model: Command): void {
  const command = model
    .command('calibrate')
    .description(
      'choose on development sets how the scores of a reranker and of document vectors are mixed with the first ranking, ' +
        'and what they say of relevance',
    )
    .argument('<dataset...>', 'BEIR folders or .zip files that nothing is reported on afterwards')
    .option('--reranker <folder>', 'cross-encoder (default: the bundled one)')
    .option('--queries <n>', 'queries per data set at most', wholeNumber(1, 100_000), 200)
    .option('--depth <n>', 'documents per query that are reranked', wholeNumber(1, 1000), 100)
    .option('--split <name>', 'qrels split (default: test)')
    .addOption(evalCacheOption())
    .option('--write', 'write what was found into the config.json of both model folders')
    .option('--json', 'print one JSON object');
  addEncoderOptions(command).action(run);
}

async function run(paths: readonly string[], options: CalibrateCliOptions): Promise<void> {
  const { reranker, queries, write, json } = options;
  // What is wrong with a model must stop the run here, not after minutes of encoding.
  const encoder = openModel(options.model);
  const crossEncoder = openCrossEncoderModel(reranker ?? DEFAULT_RERANKER);
  const depth = Math.max(options.depth, encoder.config.winnow.vector?.depth ?? 0);
  const sets = await readDevelopmentSets(
    paths,
    options,
    { label: 'calibrating', step: 'score' },
    (dataset, index, onQuery) => scoreStages(dataset, index, { queries, depth }, onQuery),
  );
  const found = calibrate(sets);
  if (json) console.log(JSON.stringify(found));
  else printCalibration(found);
  if (!write) return;
  if (found.vector) storeSettings(encoder.folder, ['winnow', 'vector'], found.vector);
  if (found.cross) storeSettings(crossEncoder.folder, ['winnow'], found.cross);
}

function printCalibration({ datasets, rows, vector, cross, curve }: Calibration): void {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const line = (name: string, cells: readonly string[]) =>
    console.log([name.padEnd(width), ...cells.map((cell) => cell.padStart(8))].join(' '));
  line('nDCG@10', ['mean', ...datasets.map((name) => printable(name).slice(0, 8))]);
  for (const { name, mean, ndcg } of rows)
    line(
      name,
      [mean, ...ndcg].map((value) => value.toFixed(4)),
    );
  console.log();
  if (vector) console.log(`vector: ${JSON.stringify(vector)}`);
  if (cross) console.log(`cross: ${JSON.stringify(cross)}`);
  console.log('\nminRelevance  precision  recall  queries without a hit');
  for (const { minRelevance, precision, recall, empty } of curve)
    console.log(
      `${minRelevance.toFixed(2).padStart(12)}  ${precision.toFixed(3).padStart(9)}  ${recall.toFixed(3).padStart(6)}  ` +
        `${(100 * empty).toFixed(1).padStart(5)} %`,
    );
}
