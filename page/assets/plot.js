import uPlot from '/assets/uplot/uPlot.esm.js';
import { h } from './dom.js';

/**
 * @typedef {{ label: string, values: readonly number[], color: string }} Series
 * @typedef {{ title: string, labels: readonly string[], series: readonly Series[], show: (value: number) => string, bars: boolean }} PlotData
 *   `show` writes a value; `color` is the name of a property of the style sheet
 */

const HEIGHT = 220;
const TICK_WIDTH = 64;

/** @param {string} name */
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/**
 * A plot, with the same figures as a table for those who cannot see it.
 *
 * @param {PlotData} data
 */
export function plotFigure(data) {
  const { title, labels, series, show } = data;
  const canvas = h('div', {
    class: 'plot',
    role: 'img',
    'aria-label': `${title}; the table below has the figures`,
  });
  const rows = labels.map((label, i) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, label),
      ...series.map(({ values }) => h('td', { class: 'number' }, show(values[i] ?? 0))),
    ),
  );
  const figure = h(
    'figure',
    {},
    h('figcaption', {}, title),
    canvas,
    h(
      'details',
      {},
      h('summary', {}, 'Figures as a table'),
      h(
        'div',
        { class: 'table-scroll', tabIndex: 0, role: 'region', 'aria-label': `Table: ${title}` },
        h(
          'table',
          { class: 'figures' },
          h(
            'thead',
            {},
            h('tr', {}, h('td'), ...series.map(({ label }) => h('th', { scope: 'col' }, label))),
          ),
          h('tbody', {}, ...rows),
        ),
      ),
    ),
  );
  return { figure, draw: () => draw(canvas, data) };
}

/** @param {HTMLElement} canvas in the page @param {PlotData} data */
function draw(canvas, { labels, series, show, bars }) {
  canvas.replaceChildren();
  const axis = {
    stroke: color('--soft'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
  };
  const width = Math.max(240, canvas.clientWidth);
  const fitting = Math.max(1, Math.floor(width / TICK_WIDTH));
  const step = Math.ceil(labels.length / fitting);
  /** @type {uPlot.Options} */
  const options = {
    width,
    height: HEIGHT,
    cursor: { show: false },
    legend: { show: series.length > 1, live: false },
    scales: {
      x: { time: false, range: [-0.6, Math.max(0.6, labels.length - 0.4)] },
      y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.08 : 1] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        splits: () => labels.map((_, i) => i).filter((i) => i % step === 0),
        values: (_plot, at) => at.map((i) => (labels[i] ?? '').slice(0, 12)),
      },
      { ...axis, size: 72, values: (_plot, at) => at.map(show) },
    ],
    series: [
      {},
      ...series.map(({ label, color: name }) => ({
        label,
        stroke: color(name),
        width: 2,
        points: { show: !bars && labels.length < 40, size: 5 },
        ...(bars && uPlot.paths.bars
          ? { fill: color(name), paths: uPlot.paths.bars({ size: [0.6, 64], radius: 0.15 }) }
          : {}),
      })),
    ],
  };
  const values = [labels.map((_, i) => i), ...series.map((one) => [...one.values])];
  new uPlot(options, /** @type {uPlot.AlignedData} */ (values), canvas);
}
