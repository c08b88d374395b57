import type { Comparison, EvaluationReport } from './report.ts';
import { formatBytes, formatCount, formatMicros, type ResultRow } from './result-table.ts';

/**
 * The figures of a report as Markdown tables, for a file that is committed: one table of the main measure over all data
 * sets, one table per data set, the tests against the baseline, and what was run where.
 *
 * @param command how to make the page again
 */
export function markdownReport(report: EvaluationReport, { title = 'Results', command = '' } = {}): string {
  const { rows, comparisons, settings } = report;
  const datasets = [...new Set(rows.map(({ dataset }) => dataset))];
  const systems = [...new Set(rows.map(({ system }) => system))];
  const metric = String(settings.metric ?? 'ndcg@10');
  const metrics = Object.keys(rows[0] ?? {}).filter(
    (name) => name.includes('@') || name === 'map' || name === 'mrr',
  );
  const parts = [
    `# ${title}`,
    `Generated${command === '' ? '' : ` by \`${command}\``}; do not edit. ${report.created.slice(0, 10)}, ${report.machine}${report.commit ? `, commit ${report.commit.slice(0, 12)}` : ''}.`,
  ];

  if (datasets.length > 1) parts.push(`## ${metric}`, overviewTable(report, datasets, systems, metric));
  for (const dataset of datasets) parts.push(...datasetSection(rows, dataset, metrics));
  if (comparisons.length > 0) parts.push(...testsSection(comparisons));
  parts.push('## What was run', systemsTable(rows, systems), NOTES);
  return `${parts.join('\n\n')}\n`;
}

function overviewTable(
  { rows, averages }: EvaluationReport,
  datasets: readonly string[],
  systems: readonly string[],
  metric: string,
): string {
  const averageOf = (system: string): string[] =>
    averages.length === 0
      ? []
      : [averages.find((average) => average.system === system)?.means[metric]?.toFixed(4) ?? '-'];
  return table(
    ['system', ...datasets, ...(averages.length > 0 ? ['average'] : [])],
    systems.map((system) => [
      system,
      ...datasets.map((dataset) => {
        const row = rows.find((one) => one.dataset === dataset && one.system === system);
        return row ? value(row, metric).toFixed(4) : '-';
      }),
      ...averageOf(system),
    ]),
  );
}

function datasetSection(rows: readonly ResultRow[], dataset: string, metrics: readonly string[]): string[] {
  const own = rows.filter((row) => row.dataset === dataset);
  const documents = own.find((row) => row.documents !== null)?.documents;
  return [
    `## ${dataset}`,
    `${formatCount(documents)} documents, ${formatCount(own[0]?.queries)} queries.`,
    table(
      ['system', ...metrics, 'p50', 'p99', 'terms/doc', 'FLOPS', 'index', 'docs/s'],
      own.map((row) => [
        row.system,
        ...metrics.map((name) => value(row, name).toFixed(4)),
        formatMicros(row.latencyUs?.p50),
        formatMicros(row.latencyUs?.p99),
        row.termsPerDocument?.toFixed(1) ?? '-',
        row.flops?.toFixed(2) ?? '-',
        formatBytes(row.indexBytes),
        row.encodeDocsPerSecond?.toFixed(1) ?? '-',
      ]),
    ),
  ];
}

function testsSection(comparisons: readonly Comparison[]): string[] {
  const { baseline, metric } = comparisons[0]!;
  return [
    `## Tests against ${baseline}`,
    `Paired by query in ${metric}; p of the randomisation test, corrected by Holm over the comparisons of a data set.`,
    table(
      ['data set', 'system', 'difference', 'wins', 'losses', 'p (Holm)'],
      comparisons.map(({ dataset, system, difference, wins, losses, pHolm }) => [
        dataset,
        system,
        `${difference < 0 ? '' : '+'}${difference.toFixed(4)}`,
        String(wins),
        String(losses),
        pHolm < 0.0001 ? '< 0.0001' : pHolm.toFixed(4),
      ]),
    ),
  ];
}

const NOTES =
  'p50 and p99 are of single searches for ten hits in one thread. index: the parts that a search reads, without the stored texts. ' +
  'docs/s is of the run that encoded the documents, which may have been an earlier one; a kept index is not encoded again.';

/** Model and settings of each system, as its first row has them. */
function systemsTable(rows: readonly ResultRow[], systems: readonly string[]): string {
  return table(
    ['system', 'model', 'settings'],
    systems.map((system) => {
      const row = rows.find((candidate) => candidate.system === system)!;
      const settings = Object.entries(row.settings).map(([name, setting]) => `${name} ${setting}`);
      return [system, row.model ?? '-', settings.join(', ') || '-'];
    }),
  );
}

function value(row: ResultRow, metric: string): number {
  return (row as unknown as Record<string, number | undefined>)[metric] ?? 0;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), line(header.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}
