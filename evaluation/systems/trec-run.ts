import { basename } from 'node:path';
import type { EvaluationDataset } from '../dataset.ts';
import { rank } from '../metrics.ts';
import type { SystemFactory } from '../system.ts';
import { readTrecRun } from '../trec.ts';

/**
 * A run of another tool as a system: it answers by looking the query up, in trec_eval's order, and is not timed.
 *
 * @param file a TREC run; `{dataset}` in its name stands for the name of the data set
 */
export function trecRunSystem(name: string, file: string): SystemFactory {
  return {
    name,
    async open(dataset: EvaluationDataset) {
      const run = await readTrecRun(file.replaceAll('{dataset}', dataset.name));
      return {
        name,
        timed: false,
        search: ({ id }, k) => rank(run.get(id) ?? []).slice(0, k),
        // Where the file lies is of no use to the readers of a report.
        describe: () => ({ settings: { run: basename(file) } }),
      };
    },
  };
}
