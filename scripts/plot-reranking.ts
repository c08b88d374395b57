import { readFileSync, writeFileSync } from 'node:fs';
import {
  bottomAxis,
  escapeXml,
  type Frame,
  leftAxis,
  linearScale,
  logScale,
  svg,
} from '../evaluation/html/svg.ts';

// The pictures of docs/reranking.md:
//   npx tsx scripts/plot-reranking.ts latency ROWS.jsonl docs/reranking-latency.svg     (rows of `winnow eval --json`)
//   npx tsx scripts/plot-reranking.ts relevance FOUND.json docs/reranking-relevance.svg (of `winnow model calibrate --json`)
// Systems are named `stage` or `stage rerankDepth=N`; the points of one stage are joined.

interface Point {
  readonly x: number;
  readonly y: number;
  readonly label: string;
}

interface Line {
  readonly name: string;
  readonly points: readonly Point[];
}

const FRAME: Frame = { width: 690, height: 360, left: 56, right: 110, top: 34, bottom: 44 };
const COLOURS = ['#1c2430', '#0068a8', '#d35400', '#00875f'];

const average = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** nDCG@10 against the median time of a search, both as means over the data sets. */
function latency(file: string): string {
  const rows = readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const systems = [...new Set<string>(rows.map(({ system }) => system))];
  const lines = new Map<string, Point[]>();
  for (const system of systems) {
    const own = rows.filter((row) => row.system === system);
    const [name = '', depth = ''] = system.split(' rerankDepth=');
    const point = {
      x: average(own.map(({ latencyUs }) => latencyUs.p50)) / 1000,
      y: average(own.map((row) => row['ndcg@10'])),
      label: depth,
    };
    lines.set(name, [...(lines.get(name) ?? []), point]);
  }
  const drawn = [...lines].map(([name, points]) => ({ name, points: points.sort((a, b) => a.x - b.x) }));
  const milliseconds = (value: number) => `${Number(value.toPrecision(2))}`;
  const xs = drawn.flatMap(({ points }) => points.map(({ x }) => x));
  return picture(
    'nDCG@10 against time',
    'milliseconds per search (median), with the number of reranked documents',
    'nDCG@10',
    drawn,
    logScale(xs, FRAME.left, FRAME.width - FRAME.right, milliseconds),
  );
}

/** Precision and recall of the first ten hits against `minRelevance`. */
function relevance(file: string): string {
  const { curve } = JSON.parse(readFileSync(file, 'utf8')) as {
    curve: { minRelevance: number; precision: number; recall: number; empty: number }[];
  };
  const line = (name: 'precision' | 'recall' | 'empty', shown: string): Line => ({
    name: shown,
    points: curve.map((point) => ({ x: point.minRelevance, y: point[name], label: '' })),
  });
  const lines = [line('precision', 'precision'), line('recall', 'recall'), line('empty', 'empty answers')];
  return picture(
    'What minRelevance does',
    'minRelevance',
    'share',
    lines,
    linearScale([0, 1], FRAME.left, FRAME.width - FRAME.right),
  );
}

function picture(
  title: string,
  xTitle: string,
  yTitle: string,
  lines: readonly Line[],
  x: ReturnType<typeof linearScale>,
): string {
  const ys = lines.flatMap(({ points }) => points.map(({ y }) => y));
  const y = linearScale(ys, FRAME.height - FRAME.bottom, FRAME.top);
  const labels = apart(lines.map(({ points }) => y(points.at(-1)!.y) - 6));
  const body = lines.map(({ name, points }, i) => {
    const colour = COLOURS[i % COLOURS.length]!;
    const path = points.map((p) => `${x(p.x).toFixed(1)},${y(p.y).toFixed(1)}`).join(' ');
    const last = points.at(-1)!;
    const marks = points.map(
      (p) =>
        `<circle cx="${x(p.x).toFixed(1)}" cy="${y(p.y).toFixed(1)}" r="4" fill="${colour}"/>` +
        `<text x="${x(p.x).toFixed(1)}" y="${(y(p.y) + 17).toFixed(1)}" text-anchor="middle" class="tick">${escapeXml(p.label)}</text>`,
    );
    return (
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.6"/>${marks.join('')}` +
      `<text x="${(x(last.x) + 9).toFixed(1)}" y="${labels[i]!.toFixed(1)}" fill="${colour}" font-weight="600">${escapeXml(name)}</text>`
    );
  });
  const style =
    '<style>.grid{stroke:#dfe4ea}.axis{stroke:#5b6675}.tick,.label{fill:#5b6675;font-size:11.5px}</style><rect width="100%" height="100%" fill="#fff"/>';
  return svg(
    FRAME,
    title,
    style + bottomAxis(FRAME, x, xTitle) + leftAxis(FRAME, y, yTitle) + body.join(''),
  ).replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12" ');
}

/** Heights of labels, moved down where they would cover each other. */
function apart(heights: readonly number[]): number[] {
  const moved = [...heights];
  const order = [...heights.keys()].sort((a, b) => heights[a]! - heights[b]!);
  for (let i = 1; i < order.length; i++)
    moved[order[i]!] = Math.max(moved[order[i]!]!, moved[order[i - 1]!]! + 15);
  return moved;
}

const [kind, input, output] = process.argv.slice(2);
const drawing = { latency, relevance }[kind as 'latency' | 'relevance'];
if (!drawing || !input || !output)
  throw new Error('usage: plot-reranking.ts latency|relevance INPUT OUTPUT.svg');
writeFileSync(output, `${drawing(input)}\n`);
