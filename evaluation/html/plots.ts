import type { Comparison } from '../report.ts';
import { formatMicros } from '../result-table.ts';
import {
  bottomAxis,
  escapeXml,
  type Frame,
  leftAxis,
  linearScale,
  logScale,
  mark,
  SERIES_COLOURS,
  svg,
} from './svg.ts';

/** One system in a scatter plot. */
export interface Point {
  readonly series: number;
  readonly name: string;
  readonly x: number;
  readonly y: number;
  /** Points of one group are joined by a line in order of x, e.g. the settings of one system. */
  readonly group?: string;
}

const SCATTER: Frame = { width: 325, height: 235, left: 46, right: 16, top: 30, bottom: 40 };

/** Quality against cost: each system a mark, better is up and left. */
export function scatterPlot(
  points: readonly Point[],
  axes: { readonly x: string; readonly y: string; readonly log?: boolean; readonly micros?: boolean },
): string {
  const frame = SCATTER;
  const right = frame.width - frame.right;
  const xs = points.map(({ x }) => x);
  const format = axes.micros ? formatMicros : undefined;
  const x = axes.log ? logScale(xs, frame.left, right, format) : linearScale(xs, frame.left, right);
  const y = linearScale(
    points.map((point) => point.y),
    frame.height - frame.bottom,
    frame.top,
  );
  const groups = new Map<string, Point[]>();
  for (const point of points)
    if (point.group !== undefined) groups.set(point.group, [...(groups.get(point.group) ?? []), point]);
  const lines = [...groups.values()]
    .filter((group) => group.length > 1)
    .map((group) => {
      const path = [...group]
        .sort((a, b) => a.x - b.x)
        .map((p) => `${x(p.x).toFixed(1)},${y(p.y).toFixed(1)}`);
      return `<polyline class="line s${group[0]!.series % SERIES_COLOURS}" points="${path.join(' ')}"/>`;
    })
    .join('');
  const value = (v: number) => (format ? format(v) : String(Number(v.toPrecision(4))));
  const marks = points
    .map((p) =>
      mark(p.series, x(p.x), y(p.y), `${p.name}: ${axes.y} ${p.y.toFixed(4)}, ${axes.x} ${value(p.x)}`),
    )
    .join('');
  return svg(
    frame,
    `${axes.y} against ${axes.x}`,
    bottomAxis(frame, x, axes.x) + leftAxis(frame, y, axes.y) + lines + marks,
  );
}

/** Differences to the baseline with their 95 % intervals, one line for each comparison; intervals off zero stand out. */
export function differencePlot(
  comparisons: readonly Comparison[],
  series: (system: string) => number,
): string {
  const rowHeight = 24;
  const frame: Frame = {
    width: 820,
    height: 66 + comparisons.length * rowHeight,
    left: 300,
    right: 16,
    top: 20,
    bottom: 40,
  };
  const bounded = comparisons
    .flatMap(({ interval95, difference }) => [...interval95, difference])
    .filter(Number.isFinite);
  const x = linearScale([...bounded, 0], frame.left, frame.width - frame.right, { ticks: 6 });
  const rows = comparisons
    .map(({ system, dataset, difference, interval95, pHolm, wins, losses, metric }, i) => {
      const y = frame.top + rowHeight * (i + 0.5);
      const [low, high] = interval95;
      const line = Number.isFinite(low)
        ? `<line class="interval s${series(system) % SERIES_COLOURS}" x1="${x(low).toFixed(1)}" x2="${x(high).toFixed(1)}" y1="${y}" y2="${y}"/>`
        : '';
      const tooltip = `${system} on ${dataset}: ${signed(difference)} ${metric}, p ${pHolm.toPrecision(2)} (Holm), ${wins} wins, ${losses} losses`;
      return (
        `<text class="tick${pHolm < 0.05 ? ' strong' : ''}" x="${frame.left - 10}" y="${y + 4}" text-anchor="end">${escapeXml(shorten(`${dataset}  ${system}`, 44))}</text>` +
        line +
        mark(series(system), x(difference), y, tooltip)
      );
    })
    .join('');
  const zero = `<line class="zero" x1="${x(0).toFixed(1)}" x2="${x(0).toFixed(1)}" y1="${frame.top}" y2="${frame.height - frame.bottom}"/>`;
  const title = `difference in ${comparisons[0]?.metric ?? ''} to ${comparisons[0]?.baseline ?? 'the baseline'}, 95 % interval`;
  return svg(frame, title, bottomAxis(frame, x, title) + zero + rows);
}

/** Every query's difference to the baseline as a bar, sorted: how many gain, how many lose, and how much. */
export function queryDeltaPlot(
  deltas: readonly { readonly text: string; readonly delta: number }[],
  metric: string,
): string {
  const sorted = [...deltas].sort((a, b) => b.delta - a.delta);
  const frame: Frame = { width: 525, height: 180, left: 50, right: 16, top: 30, bottom: 24 };
  const values = sorted.map(({ delta }) => delta);
  const y = linearScale([...values, 0], frame.height - frame.bottom, frame.top);
  const step = (frame.width - frame.left - frame.right) / Math.max(1, sorted.length);
  const width = Math.max(0.6, Math.min(24, step - (step > 3 ? 1 : 0)));
  const zero = y(0);
  const bars = sorted
    .map(({ text, delta }, i) => {
      if (delta === 0) return '';
      const top = Math.min(zero, y(delta));
      return (
        `<rect class="${delta > 0 ? 'gain' : 'loss'}" x="${(frame.left + i * step).toFixed(1)}" y="${top.toFixed(1)}" ` +
        `width="${width.toFixed(1)}" height="${Math.abs(y(delta) - zero).toFixed(1)}"><title>${escapeXml(`${signed(delta)}  ${shorten(text, 120)}`)}</title></rect>`
      );
    })
    .join('');
  const axis = `<line class="axis" x1="${frame.left}" x2="${frame.width - frame.right}" y1="${zero.toFixed(1)}" y2="${zero.toFixed(1)}"/>`;
  const count = `<text class="label" x="${frame.width - frame.right}" y="${frame.height - 6}" text-anchor="end">${sorted.length} queries, best gain left</text>`;
  return svg(
    frame,
    `difference in ${metric} by query`,
    leftAxis(frame, y, `difference in ${metric}`) + bars + axis + count,
  );
}

/** Horizontal bars of one measure, the numbers written at their ends. */
export function barPlot(
  bars: readonly { readonly series: number; readonly name: string; readonly value: number }[],
  title: string,
): string {
  const rowHeight = 24;
  const frame: Frame = {
    width: 325,
    height: 34 + bars.length * rowHeight,
    left: 120,
    right: 60,
    top: 26,
    bottom: 8,
  };
  const most = Math.max(...bars.map(({ value }) => value), 1e-9);
  const span = frame.width - frame.left - frame.right;
  const rows = bars
    .map(({ series, name, value }, i) => {
      const y = frame.top + i * rowHeight;
      const length = Math.max(1, (Math.max(0, value) / most) * span);
      return (
        `<text class="tick" x="${frame.left - 8}" y="${y + 14}" text-anchor="end">${escapeXml(shorten(name, 18))}</text>` +
        `<rect class="bar s${series % SERIES_COLOURS}" x="${frame.left}" y="${y + 3}" width="${length.toFixed(1)}" height="15" rx="2"/>` +
        `<text class="value" x="${(frame.left + length + 6).toFixed(1)}" y="${y + 14.5}">${value.toFixed(4)}</text>`
      );
    })
    .join('');
  return svg(frame, title, `<text class="label strong" x="0" y="14">${escapeXml(title)}</text>${rows}`);
}

export function signed(value: number, digits = 4): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
