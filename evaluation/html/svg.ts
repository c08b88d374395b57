/**
 * Just enough SVG for the report: scales, ticks and axes as strings. Colours come from the page's CSS classes, so that a
 * plot follows its dark and light themes.
 */

export function escapeXml(text: string): string {
  return (
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      // Control characters are not allowed in XML at all.
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '\ufffd')
  );
}

/** Maps values to pixels and names the ticks between them. */
export interface Scale {
  (value: number): number;
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
}

/** Ticks at 1, 2 or 5 times a power of ten, about `count` of them inside the range. */
function niceTicks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((candidate) => candidate >= rough)!;
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  return ticks;
}

function plainNumber(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Number(value.toPrecision(4)));
}

/**
 * A linear scale over the values with a margin; equal values get a range around them.
 *
 * @param from pixel of the lowest value, `to` of the highest
 */
export function linearScale(
  values: readonly number[],
  from: number,
  to: number,
  { zero = false, ticks = 5 }: { zero?: boolean; ticks?: number } = {},
): Scale {
  let low = Math.min(...values, ...(zero ? [0] : []));
  let high = Math.max(...values, ...(zero ? [0] : []));
  if (!(high > low)) {
    low -= Math.abs(low) * 0.1 || 0.5;
    high += Math.abs(high) * 0.1 || 0.5;
  }
  const margin = (high - low) * 0.08;
  if (!zero || low < 0) low -= margin;
  if (!zero || high > 0) high += margin;
  const map = (value: number) => from + ((value - low) / (high - low)) * (to - from);
  return Object.assign(map, {
    ticks: niceTicks(low, high, ticks).map((value) => ({ at: map(value), label: plainNumber(value) })),
  });
}

/** A logarithmic scale over positive values with ticks at 1, 2, 5 of each decade (only decades when many). */
export function logScale(
  values: readonly number[],
  from: number,
  to: number,
  label: (value: number) => string = plainNumber,
): Scale {
  const low = Math.min(...values) / 1.3;
  const high = Math.max(...values) * 1.3;
  const map = (value: number) => from + (Math.log(value / low) / Math.log(high / low)) * (to - from);
  const found: number[] = [];
  const decades = Math.log10(high / low);
  const steps =
    decades > 2.5 ? [1] : decades > 1.5 ? [1, 3] : decades > 0.6 ? [1, 2, 5] : [1, 1.5, 2, 3, 5, 7];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++)
    for (const step of steps) {
      const value = step * 10 ** power;
      if (value >= low && value <= high) found.push(value);
    }
  return Object.assign(map, { ticks: found.map((value) => ({ at: map(value), label: label(value) })) });
}

/** The rectangle that data is drawn in, in pixels of the picture. */
export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const px = (value: number) => String(Math.round(value * 10) / 10);

export function bottomAxis(frame: Frame, scale: Scale, title: string): string {
  const y = frame.height - frame.bottom;
  const ticks = scale.ticks
    .map(
      ({ at, label }) =>
        `<line class="grid" x1="${px(at)}" x2="${px(at)}" y1="${frame.top}" y2="${y}"/>` +
        `<text class="tick" x="${px(at)}" y="${y + 15}" text-anchor="middle">${escapeXml(label)}</text>`,
    )
    .join('');
  const middle = (frame.left + frame.width - frame.right) / 2;
  return (
    `${ticks}<line class="axis" x1="${frame.left}" x2="${frame.width - frame.right}" y1="${y}" y2="${y}"/>` +
    `<text class="label" x="${px(middle)}" y="${frame.height - 5}" text-anchor="middle">${escapeXml(title)}</text>`
  );
}

export function leftAxis(frame: Frame, scale: Scale, title: string): string {
  const ticks = scale.ticks
    .map(
      ({ at, label }) =>
        `<line class="grid" x1="${frame.left}" x2="${frame.width - frame.right}" y1="${px(at)}" y2="${px(at)}"/>` +
        `<text class="tick" x="${frame.left - 6}" y="${px(at + 4)}" text-anchor="end">${escapeXml(label)}</text>`,
    )
    .join('');
  // The title stands above the axis, as turned letters are hard to read.
  return `${ticks}<text class="label" x="${frame.left}" y="${frame.top - 8}" text-anchor="start">${escapeXml(title)}</text>`;
}

/** A picture with a text for those who cannot see it. */
export function svg(frame: Frame, description: string, body: string): string {
  return (
    `<svg viewBox="0 0 ${frame.width} ${frame.height}" width="${frame.width}" height="${frame.height}" role="img" ` +
    `aria-label="${escapeXml(description)}">${body}</svg>`
  );
}

const SHAPES: ((x: number, y: number) => string)[] = [
  (x, y) => `<circle cx="${px(x)}" cy="${px(y)}" r="5.5"/>`,
  (x, y) => `<rect x="${px(x - 5)}" y="${px(y - 5)}" width="10" height="10" rx="1"/>`,
  (x, y) => `<path d="M${px(x)} ${px(y - 6.5)}l6.2 11h-12.4z"/>`,
  (x, y) => `<path d="M${px(x)} ${px(y - 7)}l6.5 7l-6.5 7l-6.5-7z"/>`,
];

/** How many systems have colours of their own before shapes tell them apart. */
export const SERIES_COLOURS = 8;

/** A mark for the n-th system with a tooltip. */
export function mark(series: number, x: number, y: number, tooltip: string): string {
  const shape = SHAPES[Math.floor(series / SERIES_COLOURS) % SHAPES.length]!;
  return `<g class="mark s${series % SERIES_COLOURS}"><title>${escapeXml(tooltip)}</title>${shape(x, y)}</g>`;
}
