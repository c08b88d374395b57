import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readQrels } from '../../corpus/beir.ts';
import { evaluateRun, type MetricName } from '../../evaluation/metrics.ts';
import { readTrecRun } from '../../evaluation/trec.ts';

// The runs are for research only and cannot be committed; the values that pytrec_eval and ir-measures gave for them are.
const folder = join(process.env.WINNOW_EVAL_DATA ?? '', 'msmarco-v2-dl21-pool');
const present = process.env.WINNOW_EVAL_DATA !== undefined && existsSync(join(folder, 'runs'));

const { dl21 } = JSON.parse(
  readFileSync(new URL('../fixtures/evaluation/trec-parity.json', import.meta.url), 'utf8'),
) as { dl21: Record<string, Record<string, number> & { irMeasures: Record<string, number> }> };

const PYTREC: Record<string, MetricName> = {
  ndcg_cut_10: 'ndcg@10',
  recall_100: 'recall@100',
  map: 'map',
  P_10: 'p@10',
  recip_rank: 'mrr',
};
const IR_MEASURES: Record<string, MetricName> = {
  'nDCG@10': 'ndcg@10',
  'R@100': 'recall@100',
  AP: 'map',
  'RR@10': 'mrr@10',
  'P@10': 'p@10',
  'Judged@10': 'judged@10',
};

if (!present)
  process.stdout.write('  skipped: set WINNOW_EVAL_DATA to the folder that holds msmarco-v2-dl21-pool/\n');

(present ? test : test.skip)(
  'three published runs of TREC DL 2021 score as pytrec_eval and ir-measures say',
  async () => {
    for (const [name, expected] of Object.entries(dl21)) {
      const [split, system] = name.split('/');
      const qrels = await readQrels(join(folder, 'qrels', `${split}.tsv`));
      const run = await readTrecRun(join(folder, 'runs', `dl21.${system}.tsv`));
      const wanted = [...new Set([...Object.values(PYTREC), ...Object.values(IR_MEASURES)])];
      const found = evaluateRun(run, qrels, wanted);
      const check = (metric: MetricName, value: number, by: string) => {
        const mine = found.get(metric)!.mean;
        assert.ok(Math.abs(mine - value) < 1e-9, `${name} ${metric}: ${mine}, ${by} ${value}`);
      };
      for (const [theirs, mine] of Object.entries(PYTREC)) check(mine, expected[theirs]!, 'pytrec_eval');
      for (const [theirs, mine] of Object.entries(IR_MEASURES))
        check(mine, expected.irMeasures[theirs]!, 'ir-measures');
    }
  },
);

test.run();
