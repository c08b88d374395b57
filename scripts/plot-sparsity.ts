import { readFileSync, writeFileSync } from 'node:fs';
import { bottomAxis, escapeXml, type Frame, leftAxis, linearScale, svg } from '../evaluation/html/svg.ts';

// The picture of docs/sparsity.md: npx tsx scripts/plot-sparsity.ts docs/sparsity.json docs/sparsity-front.svg
// Every row is a point: nDCG@10 of the visible sets against the milliseconds of its pattern. Points that no other beats in both are joined.

interface Row {
  readonly method: string;
  readonly pattern: string;
  /** Training after masks were chosen; 0: none. */
  readonly seconds: number;
  /** At the share of the cross-encoder that is best on the development sets. */
  readonly visible: number;
}

interface Figures {
  /** nDCG@10 without a cross-encoder. */
  readonly first_stage_visible: number;
  /** By pattern. */
  readonly milliseconds: Readonly<Record<string, { readonly vnni: number }>>;
  readonly rows: readonly Row[];
}

interface Point {
  readonly row: Row;
  readonly ms: number;
}

const FRAME: Frame = { width: 720, height: 400, left: 60, right: 200, top: 34, bottom: 46 };
const COLOURS = { none: '#8a94a3', short: '#0068a8', long: '#d35400' };

const colourOf = ({ seconds }: Row): string =>
  seconds === 0 ? COLOURS.none : seconds < 100 ? COLOURS.short : COLOURS.long;

/** The points that no other is at least as fast as and better than, from the fastest. */
function front(points: readonly Point[]): Point[] {
  const ordered = [...points].sort((a, b) => a.ms - b.ms || b.row.visible - a.row.visible);
  const kept: Point[] = [];
  for (const point of ordered) if (kept.every(({ row }) => row.visible < point.row.visible)) kept.push(point);
  return kept;
}

function drawing({ milliseconds, rows, first_stage_visible }: Figures): string {
  const points = rows
    .filter((row) => row.visible > first_stage_visible)
    .map((row) => ({ row, ms: milliseconds[row.pattern]!.vnni }));
  const x = linearScale(
    points.map(({ ms }) => ms),
    FRAME.left,
    FRAME.width - FRAME.right,
  );
  const y = linearScale(
    points.map(({ row }) => row.visible),
    FRAME.height - FRAME.bottom,
    FRAME.top,
  );
  const at = ({ ms, row }: Point) => `${x(ms).toFixed(1)},${y(row.visible).toFixed(1)}`;
  const best = front(points);
  const line = `<polyline points="${best.map(at).join(' ')}" fill="none" stroke="#1c2430" stroke-width="1.4"/>`;
  const marks = points.map((point) => {
    const [cx, cy] = at(point).split(',');
    const { method, pattern } = point.row;
    return `<circle cx="${cx}" cy="${cy}" r="4" fill="${colourOf(point.row)}"><title>${escapeXml(`${method}, ${pattern}: ${point.row.visible}`)}</title></circle>`;
  });
  const labels = best.map(({ row, ms }) => {
    const place = `x="${(x(ms) + 8).toFixed(1)}" y="${(y(row.visible) + 16).toFixed(1)}"`;
    return `<text ${place} fill="${colourOf(row)}">${escapeXml(`${row.method}, ${row.pattern.split(',')[0]}`)}</text>`;
  });
  const keys: [string, string][] = [
    [COLOURS.none, 'not trained'],
    [COLOURS.short, 'trained 30 s'],
    [COLOURS.long, 'trained 239 or 400 s'],
  ];
  const legend = keys.map(
    ([colour, text], i) =>
      `<circle cx="${FRAME.width - 130}" cy="${FRAME.height - 120 + 18 * i}" r="4" fill="${colour}"/>` +
      `<text x="${FRAME.width - 120}" y="${FRAME.height - 116 + 18 * i}">${text}</text>`,
  );
  const style =
    '<style>.grid{stroke:#dfe4ea}.axis{stroke:#5b6675}.tick,.label{fill:#5b6675;font-size:11.5px}</style><rect width="100%" height="100%" fill="#fff"/>';
  const axes =
    bottomAxis(FRAME, x, 'milliseconds of 100 pairs x 128 tokens, one thread, AVX-512 VNNI') +
    leftAxis(FRAME, y, 'nDCG@10, mean of the visible sets');
  return svg(
    FRAME,
    'nDCG@10 against time',
    style + axes + line + marks.join('') + labels.join('') + legend.join(''),
  ).replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12" ');
}

const [input, output] = process.argv.slice(2);
if (!input || !output) throw new Error('usage: plot-sparsity.ts FIGURES.json OUTPUT.svg');
writeFileSync(output, `${drawing(JSON.parse(readFileSync(input, 'utf8')))}\n`);
