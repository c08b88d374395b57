import type { EvaluationReport } from '../report.ts';
import type { ResultRow } from '../result-table.ts';
import { escapeXml as e, SERIES_COLOURS } from './svg.ts';

/** A report with what its sections share. */
export interface View {
  readonly report: EvaluationReport;
  readonly systems: readonly string[];
  readonly datasets: readonly string[];
  /** The measure that plots and comparisons show. */
  readonly metric: string;
  readonly series: (system: string) => number;
}

export function value(row: ResultRow, metric: string): number {
  return (row as unknown as Record<string, number | undefined>)[metric] ?? 0;
}

/** The name of a system with its colour in the plots. */
export function swatch(view: View, system: string): string {
  return `<span class="swatch s${view.series(system) % SERIES_COLOURS}"></span>${e(system)}`;
}

export function figure(caption: string, picture: string): string {
  return `<figure><figcaption>${e(caption)}</figcaption>${picture}</figure>`;
}

export function table(header: readonly string[], rows: readonly string[]): string {
  const head = header
    .map((name, i) => `<th${i === 0 || name === 'system' ? ' class="name"' : ''}>${e(name)}</th>`)
    .join('');
  return `<div class="table"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

/** Measures of the rows, in their order. */
export function metricsOf(rows: readonly ResultRow[]): string[] {
  return Object.keys(rows[0] ?? {}).filter((name) => name.includes('@') || name === 'map' || name === 'mrr');
}
