import type { EvaluationReport } from '../report.ts';
import type { ResultRow } from '../result-table.ts';
import { REPORT_CSS } from './style.ts';
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

/**
 * One page without scripts or outside files.
 *
 * @param facts HTML below the title
 * @param sections id, heading and HTML; empty ones are left out
 */
export function page(
  title: string,
  facts: string,
  sections: readonly (readonly [id: string, heading: string, body: string])[],
): string {
  const shown = sections.filter(([, , body]) => body !== '');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${e(title)}</title>
<style>${REPORT_CSS}</style>
</head>
<body>
<main>
<h1>${e(title)}</h1>
<p class="facts">${facts}</p>
<nav>${shown.map(([id, name]) => `<a href="#${id}">${e(name)}</a>`).join('')}</nav>
${shown.map(([id, name, body]) => `<section id="${id}"><h2>${e(name)}</h2>\n${body}</section>`).join('\n')}
</main>
</body>
</html>
`;
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
