import type { SystemResult } from './evaluate.ts';
import type { LatencySummary } from './latency.ts';
import type { MetricName } from './metrics.ts';

/** The object that `winnow eval --json` prints for one system on one data set. Figures that are not known are null. */
export interface ResultRow {
  readonly dataset: string;
  readonly system: string;
  readonly documents: number | null;
  readonly queries: number;
  /** `ndcg@10`, `recall@100`, `mrr@10`, `map` and the measures of the run. */
  readonly [metric: `${string}@${number}`]: number;
  readonly map: number;
  readonly termsPerDocument: number | null;
  readonly latencyUs: Pick<LatencySummary, 'p50' | 'p95' | 'p99'> | null;
  readonly encodeDocsPerSecond: number | null;
  readonly termsPerQuery: number | null;
  readonly flops: number | null;
  readonly indexBytes: number | null;
  readonly buildSeconds: number | null;
  readonly memoryBytes: number | null;
  readonly model: string | null;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
}

/** Digits kept: a difference of 1e-6 in a measure still shows. */
function rounded(value: number | undefined, digits = 6): number | null {
  return value === undefined ? null : Number(value.toFixed(digits));
}

export function resultRow({
  dataset,
  system,
  documents,
  queries,
  means,
  latencyUs,
  facts,
}: SystemResult): ResultRow {
  const metrics = Object.fromEntries([...means].map(([name, mean]) => [name, rounded(mean)!]));
  const latency = latencyUs && { p50: latencyUs.p50, p95: latencyUs.p95, p99: latencyUs.p99 };
  return {
    dataset,
    system,
    documents: documents ?? null,
    queries,
    ...(metrics as { map: number }),
    termsPerDocument: rounded(facts.termsPerDocument, 2),
    latencyUs: latency ?? null,
    encodeDocsPerSecond: rounded(facts.encodeDocsPerSecond, 2),
    termsPerQuery: rounded(facts.termsPerQuery, 2),
    flops: rounded(facts.flops, 4),
    indexBytes: facts.indexBytes ?? null,
    buildSeconds: rounded(facts.buildSeconds, 2),
    memoryBytes: facts.memoryBytes ?? null,
    model: facts.model ?? null,
    settings: facts.settings ?? {},
  };
}

/**
 * One arithmetic mean per system and measure over all data sets; a system that lacks a data set has none, and with one data
 * set there is nothing to average. Latency, size and speed are not averaged: a mean over collections of other sizes says
 * nothing.
 */
export function averageMeans(results: readonly SystemResult[]): Map<string, Map<MetricName, number>> {
  const averages = new Map<string, Map<MetricName, number>>();
  const datasets = new Set(results.map(({ dataset }) => dataset));
  if (datasets.size < 2) return averages;
  for (const [system, own] of groupBy(results)) {
    if (own.length < datasets.size) continue;
    const mean = (metric: MetricName) =>
      own.reduce((sum, { means }) => sum + (means.get(metric) ?? 0), 0) / own.length;
    averages.set(system, new Map([...own[0]!.means.keys()].map((metric) => [metric, mean(metric)])));
  }
  return averages;
}

function groupBy(results: readonly SystemResult[]): Map<string, SystemResult[]> {
  const groups = new Map<string, SystemResult[]>();
  for (const result of results) groups.set(result.system, [...(groups.get(result.system) ?? []), result]);
  return groups;
}

/** Figures as a person reads them. */
export function formatCount(value: number | undefined | null): string {
  return value === undefined || value === null ? '-' : Math.round(value).toLocaleString('en-US');
}

/** 840 us, 1.2 ms. */
export function formatMicros(value: number | undefined): string {
  if (value === undefined) return '-';
  if (value < 1000) return `${value < 10 ? value.toFixed(1) : Math.round(value)} us`;
  return `${(value / 1000).toFixed(value < 100_000 ? 1 : 0)} ms`;
}

/** 5.1 MB with the decimal prefixes that disks use. */
export function formatBytes(bytes: number | undefined | null): string {
  if (bytes === undefined || bytes === null) return '-';
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/**
 * A table for a terminal: one line per data set and system, averages below, numbers aligned right.
 *
 * @param bold wraps the best value of a column within its data set, e.g. picocolors' bold; default leaves it plain
 */
export function resultTable(
  results: readonly SystemResult[],
  bold: (text: string) => string = (text) => text,
): string {
  if (results.length === 0) return 'no results\n';
  const metrics = [...results[0]!.means.keys()];
  const header = [
    'data set',
    'system',
    'queries',
    ...metrics,
    'p50',
    'p95',
    'p99',
    'terms/doc',
    'index',
    'docs/s',
  ];
  const rows = [
    ...results.map((result) => resultCells(result, metrics, results)),
    ...[...averageMeans(results)].map(([system, means]) => ({
      cells: ['average', system, '', ...metrics.map((m) => means.get(m)!.toFixed(4)), '', '', '', '', '', ''],
      marked: new Set<number>(),
    })),
  ];
  const widths = header.map((title, i) =>
    Math.max(title.length, ...rows.map(({ cells }) => cells[i]!.length)),
  );
  const line = (cells: readonly string[], marked: ReadonlySet<number> = new Set()) =>
    cells
      .map((cell, i) => {
        const space = ' '.repeat(widths[i]! - cell.length);
        const text = marked.has(i) ? bold(cell) : cell;
        return i < 2 ? text + space : space + text;
      })
      .join('  ')
      .trimEnd();
  return `${[line(header), ...rows.map(({ cells, marked }) => line(cells, marked))].join('\n')}\n`;
}

/** @returns the cells of one row, and which of them are the best of their column within the data set */
function resultCells(
  { dataset, system, queries, means, latencyUs, facts }: SystemResult,
  metrics: readonly MetricName[],
  results: readonly SystemResult[],
): { readonly cells: readonly string[]; readonly marked: ReadonlySet<number> } {
  const marked = new Set<number>();
  const values = metrics.map((metric, i) => {
    const mean = means.get(metric) ?? 0;
    const others = results.filter((result) => result.dataset === dataset);
    const best = Math.max(...others.map((result) => result.means.get(metric) ?? 0));
    if (results.length > 1 && mean === best) marked.add(3 + i);
    return mean.toFixed(4);
  });
  const cells = [
    dataset,
    system,
    formatCount(queries),
    ...values,
    formatMicros(latencyUs?.p50),
    formatMicros(latencyUs?.p95),
    formatMicros(latencyUs?.p99),
    facts.termsPerDocument === undefined ? '-' : facts.termsPerDocument.toFixed(1),
    formatBytes(facts.indexBytes),
    facts.encodeDocsPerSecond === undefined ? '-' : facts.encodeDocsPerSecond.toFixed(1),
  ];
  return { cells, marked };
}

/** The rows as CSV (RFC 4180) with one header line; nested values become columns. */
export function resultCsv(results: readonly SystemResult[]): string {
  const rows = results.map((result) => {
    const { latencyUs, settings, ...rest } = resultRow(result);
    return {
      ...rest,
      latencyP50Us: latencyUs?.p50 ?? null,
      latencyP95Us: latencyUs?.p95 ?? null,
      latencyP99Us: latencyUs?.p99 ?? null,
      settings: Object.keys(settings).length === 0 ? null : JSON.stringify(settings),
    } as Record<string, string | number | null>;
  });
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cell = (value: string | number | null | undefined) => {
    const text = value === null || value === undefined ? '' : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return `${[columns, ...rows.map((row) => columns.map((name) => row[name]))].map((cells) => cells.map(cell).join(',')).join('\r\n')}\r\n`;
}
