import { readFileSync, writeFileSync } from 'node:fs';
import { bottomAxis, escapeXml, type Frame, leftAxis, linearScale, svg } from '../evaluation/html/svg.ts';

// The first picture of docs/sparsity.md: npx tsx scripts/plot-sparsity.ts docs/sparsity.json docs/sparsity-front.svg
// Every row whose time is known is a point: nDCG@10 of the visible sets against milliseconds. Points that no other beats in both are joined.

interface Row {
  readonly method: string;
  readonly pattern: string;
  readonly kind: string;
  /** At the share of the cross-encoder that is best on the development sets. */
  readonly visible: number;
  /** 100 pairs x 128 tokens; absent where no kernel has the pattern. */
  readonly ms_vnni?: number;
}

interface Figures {
  readonly second: {
    /** nDCG@10 without a cross-encoder. */
    readonly first_stage_visible: number;
    readonly rows: readonly Row[];
  };
}

interface Point {
  readonly row: Row;
  readonly ms: number;
}

const FRAME: Frame = { width: 860, height: 460, left: 60, right: 240, top: 34, bottom: 46 };

/** Kinds of rows by what they are called in the legend. */
const LEGEND: readonly {
  readonly text: string;
  readonly colour: string;
  readonly kinds: readonly string[];
}[] = [
  { text: 'not trained: masks', colour: '#8a94a3', kinds: ['mask', 'allocation, not trained'] },
  { text: 'trained 25 s: one pattern', colour: '#0068a8', kinds: ['trained'] },
  { text: 'trained 25 s: allocations', colour: '#1a8a4a', kinds: ['allocation'] },
  { text: 'structure, 25 s or not trained', colour: '#8e44ad', kinds: ['structure', 'wide'] },
  { text: 'fewer dense layers, 54 s', colour: '#1c2430', kinds: ['reranker'] },
  { text: 'long: 240 to 410 s', colour: '#d35400', kinds: ['long'] },
];

const colourOf = ({ kind }: Row): string | undefined =>
  LEGEND.find(({ kinds }) => kinds.includes(kind))?.colour;

/** The points that no other is at least as fast as and better than, from the fastest. */
function front(points: readonly Point[]): Point[] {
  const ordered = [...points].sort((a, b) => a.ms - b.ms || b.row.visible - a.row.visible);
  const kept: Point[] = [];
  for (const point of ordered) if (kept.every(({ row }) => row.visible < point.row.visible)) kept.push(point);
  return kept;
}

function drawing({ second: { rows, first_stage_visible } }: Figures): string {
  const points = rows
    .filter(
      (row) => row.visible > first_stage_visible && colourOf(row) !== undefined && row.ms_vnni !== undefined,
    )
    .map((row) => ({ row, ms: row.ms_vnni! }));
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
    const { method, pattern, visible } = point.row;
    return `<circle cx="${cx}" cy="${cy}" r="4" fill="${colourOf(point.row)}"><title>${escapeXml(`${method}, ${pattern}: ${visible}`)}</title></circle>`;
  });
  // Labels of the front stand above it, where nothing is, or beside it where it is steep; that of the first point, for lack of room, below.
  const labels = best.map(({ row, ms }, i) => {
    const isSteep = i > 0 && x(ms) - x(best[i - 1]!.ms) < 12;
    const place =
      i === 0
        ? `x="${(x(ms) + 8).toFixed(1)}" y="${(y(row.visible) + 15).toFixed(1)}"`
        : `x="${(x(ms) - 6).toFixed(1)}" y="${(y(row.visible) + (isSteep ? 6 : -8)).toFixed(1)}" text-anchor="end"`;
    return `<text ${place} fill="${colourOf(row)}" font-size="11">${escapeXml(row.method)}</text>`;
  });
  const legend = LEGEND.map(
    ({ text, colour }, i) =>
      `<circle cx="${FRAME.width - 215}" cy="${FRAME.height - 190 + 18 * i}" r="4" fill="${colour}"/>` +
      `<text x="${FRAME.width - 205}" y="${FRAME.height - 186 + 18 * i}">${text}</text>`,
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
