import { defined } from '../defined.ts';
import { openDataset } from './dataset.ts';
import { EVALUATION_OPTIONS, type EvaluationProgress, evaluate, type SystemResult } from './evaluate.ts';
import type { EvaluationConfig } from './evaluation-config.ts';
import type { SystemSpec } from './grid.ts';
import { buildReport, type EvaluationReport } from './report.ts';
import type { SystemFactory } from './system.ts';
import { trecRunSystem } from './systems/trec-run.ts';

export interface RunConfigOptions {
  /** Builds the factory for a system of the config; imported runs (`kind: run`) are dealt with here. */
  readonly factoryFor: (spec: SystemSpec) => SystemFactory;
  /** Commit of the program, for the report. */
  readonly commit?: string;
  readonly onProgress?: (progress: EvaluationProgress) => void;
  readonly onResult?: (result: SystemResult) => void | Promise<void>;
}

/**
 * Carries out a whole evaluation config: opens the data sets first, so that a missing file stops before the hours of
 * encoding and not after, then runs every system and builds the report.
 *
 * @throws WinnowError of the data sets, runs and systems
 */
export async function runEvaluationConfig(
  config: EvaluationConfig,
  { factoryFor, commit, onProgress, onResult }: RunConfigOptions,
): Promise<{ results: SystemResult[]; report: EvaluationReport }> {
  const datasets = [];
  for (const { path, ...options } of config.datasets) datasets.push(await openDataset(path, options));
  const factories = config.systems.map((spec) =>
    spec.kind === 'run' ? trecRunSystem(spec.name, String(spec.settings.file)) : factoryFor(spec),
  );
  const { metrics, metric, k, passes, complete, identicalIds, baseline, detailedQueries } = config;
  const results = await evaluate(datasets, factories, {
    metrics: metric === undefined ? metrics : [metric, ...metrics],
    ...defined({ k, passes, complete, identicalIds, onProgress, onResult }),
  });
  const report = await buildReport(results, datasets, {
    factories,
    settings: defined({
      k: k ?? EVALUATION_OPTIONS.k.default,
      passes: passes ?? EVALUATION_OPTIONS.passes.default,
      complete: complete ?? EVALUATION_OPTIONS.complete.default,
    }),
    ...defined({ baseline, metric, detailedQueries, commit }),
  });
  return { results, report };
}
