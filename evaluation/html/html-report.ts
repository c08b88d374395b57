import type { Comparison, EvaluationReport } from '../report.ts';
import { formatBytes, formatCount, formatMicros, type ResultRow } from '../result-table.ts';
import { barPlot, differencePlot, type Point, scatterPlot, signed } from './plots.ts';
import { queriesSection } from './queries-section.ts';
import { escapeXml as e } from './svg.ts';
import { figure, metricsOf, page, swatch, table, type View, value } from './view.ts';

/**
 * The report as one HTML page without scripts or outside files: it opens offline, prints, and follows the reader's light or
 * dark theme. Every text of the data set is escaped.
 */
export function htmlReport(report: EvaluationReport, title = 'Retrieval evaluation'): string {
  const { rows, comparisons, queries } = report;
  const systems = [...new Set(rows.map(({ system }) => system))];
  const datasets = [...new Set(rows.map(({ dataset }) => dataset))];
  const view: View = {
    report,
    systems,
    datasets,
    metric: String(report.settings.metric ?? 'ndcg@10'),
    series: (system) => Math.max(0, systems.indexOf(system)),
  };
  const sections = [
    ['results', 'Results', resultsSection(view)],
    ['cost', 'Quality against cost', costSection(view)],
    ['settings', 'Settings', settingsSection(view)],
    ['tests', 'Is the difference real?', comparisons.length > 0 ? testsSection(view) : ''],
    ['queries', 'Query by query', queries.length > 0 ? queriesSection(view) : ''],
  ] as const;
  const settings = Object.entries(report.settings)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
  return page(
    title,
    `${e(report.created.slice(0, 16).replace('T', ' '))} UTC · ${e(report.machine)}${report.commit ? ` · commit ${e(report.commit.slice(0, 12))}` : ''}<br>${e(settings)}`,
    sections,
  );
}

const decimal = (figure: number | null, digits: number, unit = '') =>
  figure === null ? '-' : figure.toFixed(digits) + unit;

const COSTS: { readonly name: string; readonly of: (row: ResultRow) => string }[] = [
  { name: 'p50', of: (row) => formatMicros(row.latencyUs?.p50) },
  { name: 'p95', of: (row) => formatMicros(row.latencyUs?.p95) },
  { name: 'p99', of: (row) => formatMicros(row.latencyUs?.p99) },
  { name: 'terms/doc', of: (row) => decimal(row.termsPerDocument, 1) },
  { name: 'terms/query', of: (row) => decimal(row.termsPerQuery, 1) },
  { name: 'FLOPS', of: (row) => decimal(row.flops, 2) },
  { name: 'index', of: (row) => formatBytes(row.indexBytes) },
  { name: 'build', of: (row) => decimal(row.buildSeconds, 1, ' s') },
  { name: 'docs/s', of: (row) => decimal(row.encodeDocsPerSecond, 1) },
  { name: 'memory', of: (row) => formatBytes(row.memoryBytes) },
];

function resultsSection(view: View): string {
  const { rows, averages } = view.report;
  const metrics = metricsOf(rows);
  const parts: string[] = [];
  if (view.datasets.length > 1) parts.push(overview(view));
  const bars = view.datasets.map((dataset) =>
    figure(
      dataset,
      barPlot(
        rows
          .filter((row) => row.dataset === dataset)
          .map((row) => ({
            series: view.series(row.system),
            name: row.system,
            value: value(row, view.metric),
          })),
        view.metric,
      ),
    ),
  );
  parts.push(`<div class="plots">${bars.join('')}</div>`);
  for (const dataset of view.datasets) {
    const own = rows.filter((row) => row.dataset === dataset);
    const best = new Map(
      metrics.map((metric) => [metric, Math.max(...own.map((row) => value(row, metric)))]),
    );
    // A column that no system fills is left out.
    const costs = COSTS.filter(({ of }) => own.some((row) => of(row) !== '-'));
    const lines = own.map((row) => {
      const figures = metrics.map((metric) => {
        const isBest = own.length > 1 && value(row, metric) === best.get(metric);
        return `<td${isBest ? ' class="best"' : ''}>${value(row, metric).toFixed(4)}</td>`;
      });
      const cells = costs.map(({ of }) => `<td>${of(row)}</td>`);
      return `<tr><td class="name">${swatch(view, row.system)}</td>${figures.join('')}${cells.join('')}</tr>`;
    });
    const documents = own.find((row) => row.documents !== null)?.documents;
    parts.push(
      `<h3>${e(dataset)} <span class="soft">${formatCount(documents)} documents, ${formatCount(own[0]?.queries)} queries</span></h3>`,
      table(['system', ...metrics, ...costs.map(({ name }) => name)], lines),
    );
  }
  if (averages.length > 0)
    parts.push(
      '<h3>Average <span class="soft">over all data sets, for systems that ran on all</span></h3>',
      table(
        ['system', ...metrics],
        averages.map(
          ({ system, means }) =>
            `<tr><td class="name">${swatch(view, system)}</td>${metrics.map((m) => `<td>${(means[m] ?? 0).toFixed(4)}</td>`).join('')}</tr>`,
        ),
      ),
    );
  return parts.join('\n');
}

/** The main measure of every system on every data set, and the average: the table that a paper would print. */
function overview(view: View): string {
  const { rows, averages } = view.report;
  const cells = (of: (system: string) => number | undefined) => {
    const best = Math.max(...view.systems.map((system) => of(system) ?? Number.NEGATIVE_INFINITY));
    return view.systems.map((system) => {
      const figure = of(system);
      if (figure === undefined) return '<td>-</td>';
      return `<td${view.systems.length > 1 && figure === best ? ' class="best"' : ''}>${figure.toFixed(4)}</td>`;
    });
  };
  const columns = view.datasets.map((dataset) =>
    cells((system) => {
      const row = rows.find((candidate) => candidate.dataset === dataset && candidate.system === system);
      return row && value(row, view.metric);
    }),
  );
  if (averages.length > 0)
    columns.push(
      cells((system) => averages.find((average) => average.system === system)?.means[view.metric]),
    );
  const header = [view.metric, ...view.datasets, ...(averages.length > 0 ? ['average'] : [])];
  const lines = view.systems.map(
    (system, i) =>
      `<tr><td class="name">${swatch(view, system)}</td>${columns.map((column) => column[i]).join('')}</tr>`,
  );
  return table(header, lines);
}

/** Scatter plots of the main measure against what a system costs, for each cost that at least two systems name. */
function costSection(view: View): string {
  const costs: {
    axis: string;
    of: (row: ResultRow) => number | undefined;
    log?: boolean;
    micros?: boolean;
  }[] = [
    { axis: 'search p50', of: (row) => row.latencyUs?.p50, log: true, micros: true },
    { axis: 'FLOPS (matched postings expected)', of: (row) => row.flops ?? undefined },
    { axis: 'terms per document', of: (row) => row.termsPerDocument ?? undefined },
    { axis: 'index size in MB', of: (row) => (row.indexBytes === null ? undefined : row.indexBytes / 1e6) },
  ];
  const parts: string[] = [];
  for (const dataset of view.datasets) {
    const plots: string[] = [];
    for (const { axis, of, log, micros } of costs) {
      const points = view.report.rows.flatMap((row): Point[] => {
        const x = row.dataset === dataset ? of(row) : undefined;
        if (x === undefined || (log && x <= 0)) return [];
        return [
          {
            series: view.series(row.system),
            name: row.system,
            x,
            y: value(row, view.metric),
            ...(row.model === null ? {} : { group: curveOf(row) }),
          },
        ];
      });
      // Three pictures fill a row of the page.
      if (points.length >= 2 && plots.length < 3)
        plots.push(
          figure(
            `${dataset}: ${axis.replace(/ \(.*/, '')}`,
            scatterPlot(points, {
              x: axis,
              y: view.metric,
              ...(log ? { log } : {}),
              ...(micros ? { micros } : {}),
            }),
          ),
        );
    }
    if (plots.length > 0) parts.push(`<div class="plots">${plots.join('')}</div>`);
  }
  if (parts.length === 0) return '';
  const legend = view.systems
    .map((system) => `<span style="margin-right:16px">${swatch(view, system)}</span>`)
    .join('');
  return `<p class="soft">Better is up and to the left. Hover a mark for its numbers.</p><p>${legend}</p>${parts.join('\n')}`;
}

/** Rows that differ in numbers only, such as the terms kept, lie on one curve. */
function curveOf({ model, settings }: ResultRow): string {
  const named = Object.entries(settings).filter(([, setting]) => typeof setting !== 'number');
  return JSON.stringify([model, ...named]);
}

/** A line for each numeric setting that takes several values, e.g. recall against alpha. */
function settingsSection(view: View): string {
  const plots: string[] = [];
  for (const dataset of view.datasets) {
    const rows = view.report.rows.filter((row) => row.dataset === dataset);
    const names = new Set(
      rows.flatMap((row) =>
        Object.keys(row.settings).filter((name) => typeof row.settings[name] === 'number'),
      ),
    );
    for (const name of names)
      for (const metric of [...new Set([view.metric, 'recall@100'])]) {
        const points = rows
          .filter((row) => typeof row.settings[name] === 'number')
          .map((row): Point => {
            // Rows that differ in nothing else belong to one line.
            const { [name]: _, ...others } = row.settings;
            return {
              series: view.series(row.system),
              name: row.system,
              x: row.settings[name] as number,
              y: value(row, metric),
              group: JSON.stringify(others),
            };
          });
        // Only settings that were varied with all others equal say anything.
        const varied = points.filter((p) =>
          points.some((other) => other.group === p.group && other.x !== p.x),
        );
        if (varied.length >= 2)
          plots.push(
            figure(`${dataset}: ${metric} against ${name}`, scatterPlot(varied, { x: name, y: metric })),
          );
      }
  }
  return plots.length === 0 ? '' : `<div class="plots">${plots.join('')}</div>`;
}

function testsSection(view: View): string {
  const { comparisons } = view.report;
  const cell = (p: number) => (p < 0.0001 ? '&lt; 0.0001' : p.toFixed(4));
  const rows = comparisons.map((c: Comparison) => {
    const real = c.pHolm < 0.05;
    return (
      `<tr><td class="name">${e(c.dataset)}</td><td class="name">${swatch(view, c.system)}</td>` +
      `<td class="${c.difference < 0 ? 'loss' : 'gain'}">${signed(c.difference)}</td>` +
      `<td>${Number.isFinite(c.interval95[0]) ? `${signed(c.interval95[0])} … ${signed(c.interval95[1])}` : '-'}</td>` +
      `<td>${c.wins}</td><td>${c.ties}</td><td>${c.losses}</td><td>${cell(c.pStudent)}</td><td>${cell(c.pRandomisation)}</td>` +
      `<td${real ? ' class="best"' : ''}>${cell(c.pHolm)}</td><td class="name">${real ? 'yes' : 'no evidence'}</td></tr>`
    );
  });
  const header = [
    'data set',
    'system',
    'difference',
    '95 % interval',
    'wins',
    'ties',
    'losses',
    'p (t)',
    'p (rand.)',
    'p (Holm)',
    'real at 5 %',
  ];
  return (
    `<p class="soft">Each system against <b>${e(comparisons[0]!.baseline)}</b> on the same queries, in ${e(comparisons[0]!.metric)}. ` +
    'Paired randomisation test, corrected by Holm over the comparisons of a data set.</p>' +
    `<div class="plots">${figure('Difference to the baseline', differencePlot(comparisons, view.series))}</div>` +
    table(header, rows)
  );
}
