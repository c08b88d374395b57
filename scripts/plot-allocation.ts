import { readFileSync, writeFileSync } from 'node:fs';
import { escapeXml, type Frame, svg } from '../evaluation/html/svg.ts';

// The second picture of docs/sparsity.md: npx tsx scripts/plot-allocation.ts docs/sparsity.json docs/sparsity-allocation.svg
// What every search gave to each matrix of each layer: one grid for a search, a row for a layer, darker for fewer weights.

interface Allocation {
  readonly search: string;
  readonly seed: number;
  /** Distance from the dense model: KL of the rankings. */
  readonly kl: number;
  readonly ms_vnni: number;
  /** By layer: query, key and value; projection; intermediate; output. */
  readonly levels: readonly (readonly string[])[];
  readonly dropped: readonly number[];
}

const COLUMNS = ['q, k, v', 'proj.', 'interm.', 'output'];
const COLOURS: Readonly<Record<string, string>> = {
  dense: '#e3eef7',
  '8:16': '#a9cbe6',
  '4:16': '#5b9bcc',
  '4x1 75%': '#e0a458',
  '4x1 87.5%': '#b8651b',
  dropped: '#3a424d',
};
const NAMES: Readonly<Record<string, string>> = {
  uniform: 'uniform',
  evopress: 'EvoPress',
  random: 'random search',
};
const CELL = { width: 46, height: 24 };
const GRID = { width: 4 * CELL.width + 48, height: 6 * CELL.height + 74 };

function grid(allocation: Allocation, left: number, top: number): string {
  const { search, seed, kl, ms_vnni, levels, dropped } = allocation;
  const title = search === 'uniform' ? NAMES[search]! : `${NAMES[search]}, seed ${seed}`;
  const cells = levels.flatMap((row, layer) =>
    row.map((level, column) => {
      const shown = dropped.includes(layer) ? 'dropped' : level;
      const x = left + 26 + column * CELL.width;
      const y = top + 34 + layer * CELL.height;
      const name = `layer ${layer + 1}, ${COLUMNS[column]}: ${shown}`;
      return `<rect x="${x}" y="${y}" width="${CELL.width - 2}" height="${CELL.height - 2}" fill="${COLOURS[shown]}"><title>${escapeXml(name)}</title></rect>`;
    }),
  );
  const rows = levels.map(
    (_, layer) =>
      `<text x="${left + 18}" y="${top + 50 + layer * CELL.height}" text-anchor="end" class="tick">${layer + 1}</text>`,
  );
  const columns = COLUMNS.map(
    (name, i) =>
      `<text x="${left + 26 + (i + 0.5) * CELL.width}" y="${top + 28}" text-anchor="middle" class="tick">${name}</text>`,
  );
  const below = `<text x="${left + 26}" y="${top + 48 + 6 * CELL.height}" class="tick">KL ${kl.toFixed(2)}, ${ms_vnni} ms</text>`;
  return `<text x="${left + 26}" y="${top + 12}" font-weight="bold">${title}</text>${columns.join('')}${rows.join('')}${cells.join('')}${below}`;
}

function drawing(allocations: readonly Allocation[]): string {
  const place: Readonly<Record<string, number>> = { uniform: 0, evopress: 0, random: 1 };
  const frame: Frame = {
    width: 4 * GRID.width + 20,
    height: 2 * GRID.height + 20,
    left: 0,
    right: 0,
    top: 0,
    bottom: 0,
  };
  const grids = allocations.map((a) =>
    grid(a, 8 + (a.search === 'uniform' ? 3 : a.seed - 1) * GRID.width, 10 + place[a.search]! * GRID.height),
  );
  const legend = Object.entries(COLOURS).map(
    ([name, colour], i) =>
      `<rect x="${3 * GRID.width + 34}" y="${GRID.height + 40 + i * 22}" width="16" height="16" fill="${colour}"/>` +
      `<text x="${3 * GRID.width + 58}" y="${GRID.height + 53 + i * 22}">${name === 'dropped' ? 'layer dropped' : name}</text>`,
  );
  const style =
    '<style>.tick{fill:#5b6675;font-size:11px}</style><rect width="100%" height="100%" fill="#fff"/>';
  return svg(frame, 'Patterns of every matrix', style + grids.join('') + legend.join('')).replace(
    '<svg ',
    '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12" ',
  );
}

const [input, output] = process.argv.slice(2);
if (!input || !output) throw new Error('usage: plot-allocation.ts FIGURES.json OUTPUT.svg');
writeFileSync(output, `${drawing(JSON.parse(readFileSync(input, 'utf8')).allocations)}\n`);
