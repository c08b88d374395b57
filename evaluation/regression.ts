import { readFile } from 'node:fs/promises';
import { WinnowError } from '../errors.ts';
import { type EvaluationReport, REPORT_VERSION } from './report.ts';
import type { ResultRow } from './result-table.ts';

export interface RegressionOptions {
  /** How far a measure may fall before it counts, absolute. 0..1, default 0.002. */
  readonly tolerance?: number;
  /**
   * How many times slower p50 latency may get; timings of shared machines swing, so unset means that they are not compared.
   * >= 1.
   */
  readonly latencyFactor?: number;
}

/** One figure that is worse than stored by more than the tolerance, or gone. */
export interface Regression {
  readonly dataset: string;
  readonly system: string;
  readonly figure: string;
  readonly stored: number;
  /** Null where the new report lacks the row or the figure. */
  readonly measured: number | null;
}

/**
 * Compares a new report with a stored one: every data set, system and measure of the stored report must be there and not
 * be lower by more than the tolerance. New rows and better figures are fine. Callers exit non-zero when the list is not
 * empty.
 */
export function findRegressions(
  stored: Pick<EvaluationReport, 'rows'>,
  measured: Pick<EvaluationReport, 'rows'>,
  { tolerance = 0.002, latencyFactor }: RegressionOptions = {},
): Regression[] {
  if (!(tolerance >= 0 && tolerance <= 1))
    throw new WinnowError('WINNOW_BAD_ARGUMENT', `must be in 0..1, not ${tolerance}`, { place: 'tolerance' });
  if (latencyFactor !== undefined && !(latencyFactor >= 1))
    throw new WinnowError('WINNOW_BAD_ARGUMENT', `must be at least 1, not ${latencyFactor}`, {
      place: 'latencyFactor',
    });
  const regressions: Regression[] = [];
  for (const old of stored.rows) {
    const { dataset, system } = old;
    const now = measured.rows.find((row) => row.dataset === dataset && row.system === system);
    for (const [figure, before] of measureEntries(old)) {
      const after = now && measureEntries(now).find(([name]) => name === figure)?.[1];
      // Values are stored with six digits, so the comparison allows for their rounding.
      if (after === undefined || before - after > tolerance + 1e-6)
        regressions.push({ dataset, system, figure, stored: before, measured: after ?? null });
    }
    const slowest =
      latencyFactor !== undefined && old.latencyUs ? old.latencyUs.p50 * latencyFactor : undefined;
    if (slowest !== undefined && now?.latencyUs && now.latencyUs.p50 > slowest)
      regressions.push({
        dataset,
        system,
        figure: 'latencyUs.p50',
        stored: old.latencyUs!.p50,
        measured: now.latencyUs.p50,
      });
  }
  return regressions;
}

/** The effectiveness measures of a row: everything with a cut, and map and mrr. */
function measureEntries(row: ResultRow): [string, number][] {
  return Object.entries(row).filter(
    (entry): entry is [string, number] =>
      typeof entry[1] === 'number' && (entry[0].includes('@') || entry[0] === 'map' || entry[0] === 'mrr'),
  );
}

/** One line for each figure that fell, and one for all figures that a row lacks. */
export function formatRegressions(regressions: readonly Regression[]): string {
  const lines: string[] = [];
  const missing = new Map<string, string[]>();
  for (const { dataset, system, figure, stored, measured } of regressions) {
    const row = `${dataset} ${system}`;
    if (measured === null) missing.set(row, [...(missing.get(row) ?? []), `${figure} was ${stored}`]);
    else lines.push(`${row}: ${figure} ${stored} -> ${measured}`);
  }
  for (const [row, figures] of missing) lines.push(`${row}: now missing, ${figures.join(', ')}`);
  return lines.join('\n');
}

/**
 * Reads a stored report.
 *
 * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_BAD_DATASET (no report, or one of another version)
 */
export async function readReport(file: string): Promise<EvaluationReport> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new WinnowError('WINNOW_NOT_FOUND', 'there is no stored report', {
      place: file,
      hint: 'store one first, then compare with it',
      cause,
    });
  }
  let report: Partial<EvaluationReport>;
  try {
    report = JSON.parse(text) as Partial<EvaluationReport>;
  } catch (cause) {
    throw new WinnowError('WINNOW_BAD_DATASET', 'the report is not JSON', { place: file, cause });
  }
  if (report?.version !== REPORT_VERSION || !Array.isArray(report.rows))
    throw new WinnowError('WINNOW_BAD_DATASET', `not a report of version ${REPORT_VERSION}`, {
      place: file,
      hint: 'make the report again with this version of winnow eval',
    });
  return report as EvaluationReport;
}
