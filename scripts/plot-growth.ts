import { readFileSync, writeFileSync } from 'node:fs';
import type { GrowthReport, GrowthRow } from '../bench/growth.ts';
import { bottomAxis, escapeXml, type Frame, leftAxis, logScale, type Scale } from '../evaluation/html/svg.ts';

// The picture of docs/benchmarks.md, "Growth": npx tsx scripts/plot-growth.ts docs/growth.json docs/growth.svg
// growth.json is what `npm run bench -- growth --json` prints. Both axes of each panel are logarithmic, so that a power is a line;
// exponents are slopes of least squares lines. Hollow marks: collections grown by jittered copies, which no line is fitted to.

interface Point {
  readonly x: number;
  readonly y: number;
  readonly isGrown: boolean;
}

interface Series {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly Point[];
}

const PANEL = { width: 400, height: 330 };

/** Slope and height of the least squares line through the logarithms. */
function fit(points: readonly Point[]): { readonly exponent: number; readonly at: (x: number) => number } {
  const measured = points.filter(({ isGrown }) => !isGrown);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(measured.map(({ x }) => Math.log(x))), mean(measured.map(({ y }) => Math.log(y)))];
  let [covariance, variance] = [0, 0];
  for (const { x, y } of measured) {
    covariance += (Math.log(x) - mx) * (Math.log(y) - my);
    variance += (Math.log(x) - mx) ** 2;
  }
  const exponent = covariance / variance;
  return { exponent, at: (x) => Math.exp(my + exponent * (Math.log(x) - mx)) };
}

function curve(
  { name, colour, points }: Series,
  x: Scale,
  y: Scale,
  legendX: number,
  legendY: number,
): string {
  const { exponent, at } = fit(points);
  const measured = points.filter(({ isGrown }) => !isGrown).map((point) => point.x);
  const [low, high] = [Math.min(...measured), Math.max(...measured)];
  const line = `<line x1="${x(low)}" y1="${y(at(low))}" x2="${x(high)}" y2="${y(at(high))}" stroke="${colour}" stroke-width="1.5" stroke-dasharray="4 3"/>`;
  const marks = points.map(
    (point) =>
      `<circle cx="${x(point.x)}" cy="${y(point.y)}" r="4" stroke="${colour}" stroke-width="1.5" fill="${point.isGrown ? '#fff' : colour}"/>`,
  );
  const legend =
    `<circle cx="${legendX}" cy="${legendY - 4}" r="4" fill="${colour}"/>` +
    `<text x="${legendX + 10}" y="${legendY}">${escapeXml(name)}: exponent ${exponent.toFixed(2)}</text>`;
  return line + marks.join('') + legend;
}

function panel(index: number, title: string, xTitle: string, series: readonly Series[]): string {
  const frame: Frame = { ...PANEL, left: 62, right: 14, top: 34 + 18 * series.length, bottom: 42 };
  const all = series.flatMap(({ points }) => points);
  const x = logScale(
    all.map((point) => point.x),
    frame.left,
    frame.width - frame.right,
  );
  const y = logScale(
    all.map((point) => point.y),
    frame.height - frame.bottom,
    frame.top,
  );
  const curves = series.map((one, i) => curve(one, x, y, frame.left + 6, 32 + 18 * i));
  const heading = `<text x="${frame.left}" y="12" font-weight="bold">${escapeXml(title)}</text>`;
  const axes = bottomAxis(frame, x, xTitle) + leftAxis({ ...frame, top: frame.top }, y, '');
  return `<g transform="translate(${index * PANEL.width} 8)">${heading}${axes}${curves.join('')}</g>`;
}

function drawing(rows: readonly GrowthRow[]): string {
  const byDocuments = (name: string, colour: string, of: (row: GrowthRow) => number | undefined): Series => ({
    name,
    colour,
    points: rows.flatMap((row) => {
      const y = of(row);
      return y === undefined ? [] : [{ x: row.documents, y, isGrown: row.isGrown }];
    }),
  });
  const longest = rows.filter(({ isGrown }) => !isGrown).at(-1)!;
  const byTerms = (
    name: string,
    colour: string,
    of: (row: GrowthRow['byTerms'][number]) => number,
  ): Series => ({
    name,
    colour,
    points: longest.byTerms.map((row) => ({ x: row.terms, y: of(row), isGrown: false })),
  });
  const panels = [
    panel(0, 'Median time of a search, microseconds', 'documents', [
      byDocuments('exact', '#c2571a', ({ exactP50Us }) => exactP50Us),
      byDocuments('pruned', '#1f6fb2', ({ prunedP50Us }) => prunedP50Us),
    ]),
    panel(1, 'Megabytes, and seconds to build', 'documents', [
      byDocuments('index file', '#1f6fb2', ({ fileBytes }) => fileBytes / 1e6),
      byDocuments('memory of a searching process', '#c2571a', ({ rssMB, startMB }) => rssMB - startMB),
      byDocuments('seconds to build', '#4d7c2a', ({ buildSeconds }) => buildSeconds),
    ]),
    panel(2, `The same at ${longest.documents.toLocaleString('en')} documents`, 'terms of the query', [
      byTerms('exact', '#c2571a', ({ exactP50Us }) => exactP50Us),
      byTerms('pruned', '#1f6fb2', ({ prunedP50Us }) => prunedP50Us),
    ]),
  ];
  const style =
    '<style>.tick{fill:#5b6675;font-size:11px}.label{fill:#3a424d}.grid{stroke:#e4e8ec}.axis{stroke:#5b6675}</style>';
  const [width, height] = [3 * PANEL.width, PANEL.height + 14];
  return `<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Growth of time, bytes and memory">${style}<rect width="100%" height="100%" fill="#fff"/>${panels.join('')}</svg>`;
}

const [input, output] = process.argv.slice(2);
if (!input || !output) throw new Error('usage: plot-growth.ts GROWTH.json OUTPUT.svg');
const { rows } = JSON.parse(readFileSync(input, 'utf8')) as GrowthReport;
writeFileSync(output, `${drawing(rows as readonly GrowthRow[])}\n`);
