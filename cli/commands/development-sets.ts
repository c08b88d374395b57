import { defined } from '../../defined.ts';
import { type EvaluationDataset, openDataset } from '../../evaluation/dataset.ts';
import { IndexCache } from '../../evaluation/systems/index-cache.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import type { EncoderCliOptions } from '../options.ts';
import { printable } from '../printable.ts';
import { Progress } from '../progress.ts';

interface DevelopmentSetOptions extends EncoderCliOptions {
  readonly split?: string;
  readonly cache: string;
  readonly reranker?: string;
}

/**
 * Reads data sets one after another through their kept indexes, whose searches let every document go through all layers of the reranker.
 *
 * @param label and step of the progress on stderr
 * @param read called with the open index of a data set, and with what it calls after each query
 * @returns what it made of each data set
 */
export async function readDevelopmentSets<Read>(
  paths: readonly string[],
  { split, cache, model, backend, threads, reranker }: DevelopmentSetOptions,
  { label, step }: { readonly label: string; readonly step: string },
  read: (
    dataset: EvaluationDataset,
    index: EmbeddedBackend,
    onQuery: (done: number, total: number) => void,
  ) => Promise<Read>,
): Promise<Read[]> {
  const datasets = [];
  for (const path of paths) datasets.push(await openDataset(path, defined({ split })));
  const indexes = new IndexCache({ cache, rebuild: false, ...defined({ model, backend, threads }) });
  const progress = new Progress(label);
  const results: Read[] = [];
  try {
    for (const dataset of datasets) {
      const update = (what: string, fraction: number) =>
        progress.update({ fraction, encoded: 0, note: printable(`${dataset.name}: ${what}`) });
      const { index } = await indexes.open(
        dataset,
        { lexicalOnly: false, earlyExit: false, ...defined({ model, backend, reranker }) },
        (fraction) => update('encode', fraction),
      );
      try {
        results.push(await read(dataset, index, (done, total) => update(step, done / total)));
      } finally {
        await index.close();
      }
    }
  } finally {
    progress.done();
  }
  return results;
}
