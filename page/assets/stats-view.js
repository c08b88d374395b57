import { h } from './dom.js';
import { bytes, count, plural, time } from './format.js';
import { emptyBox } from './messages.js';
import { plotFigure } from './plot.js';
import { timings } from './timings.js';
import { WAY_NAMES } from './ways.js';

/** @typedef {import('./context.js').Context} Context */

/** Figures of the collection, of its server's collections, and of the searches of this session. */
export class StatsView {
  constructor() {
    this.element = h('div', { class: 'stats-view' });
    /** @type {(() => void)[]} */
    this.draws = [];
    const again = () => this.element.isConnected && this.draw();
    addEventListener('resize', again);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', again);
    new MutationObserver(again).observe(document.documentElement, { attributeFilter: ['data-theme'] });
  }

  draw() {
    for (const draw of this.draws) draw();
  }

  /** @param {Context} context */
  show(context) {
    const { info, stats } = context;
    this.draws = [];
    if (!info) {
      this.element.replaceChildren(
        emptyBox('No collection', h('p', {}, 'Create one, and its figures are here.')),
      );
      return;
    }
    if (!stats) {
      this.element.replaceChildren(h('p', { class: 'soft' }, 'Reading the figures…'));
      return;
    }
    const plots = [partsPlot(stats), documentsPlot(context), timingsPlot()];
    const figures = plots.map((data) => {
      if (!(data instanceof Node)) {
        const { figure, draw } = plotFigure(data);
        this.draws.push(draw);
        return figure;
      }
      return data;
    });
    this.element.replaceChildren(
      h('h1', {}, `Statistics of ${info.name}`),
      info.settings.description ? h('p', {}, info.settings.description) : '',
      cards(info, stats),
      h('div', { class: 'figures-grid' }, ...figures),
      fieldsTable(info),
    );
    this.draw();
  }
}

/** @param {NonNullable<Context['info']>} info @param {NonNullable<Context['stats']>} stats */
function cards(info, stats) {
  const figures = [
    [
      'Documents',
      count(stats.sources),
      stats.documents > stats.sources ? plural(stats.documents, 'passage') : '',
    ],
    ['Size', bytes(stats.bytes), `${bytes(stats.bytes / Math.max(1, stats.sources))} per document`],
    [
      'Weights',
      count(stats.postings),
      `${count(Math.round(stats.postings / Math.max(1, stats.documents)))} per passage`,
    ],
    [
      'Segments',
      count(stats.segments),
      stats.merging > 0 ? `${stats.merging} merging` : `generation ${stats.generation}`,
    ],
    ['Deleted', count(stats.deleted), 'freed by the next merge'],
    [
      'Model',
      info.model ?? 'none',
      info.model ? (stats.withVectors > 0 ? 'with vectors' : 'without vectors') : 'words alone',
    ],
  ];
  return h(
    'dl',
    { class: 'cards' },
    ...figures.map(([name, value, note]) =>
      h(
        'div',
        {},
        h('dt', {}, name ?? ''),
        h('dd', {}, h('strong', {}, value ?? ''), note && h('span', { class: 'small soft' }, note)),
      ),
    ),
  );
}

/** @param {NonNullable<Context['stats']>} stats @returns {import('./plot.js').PlotData} */
function partsPlot({ parts }) {
  const sorted = Object.entries(parts).sort(([, a], [, b]) => b - a);
  return {
    title: 'Bytes by part of the index',
    labels: sorted.map(([name]) => name),
    series: [{ label: 'Bytes', values: sorted.map(([, value]) => value), color: '--accent' }],
    show: bytes,
    bars: true,
  };
}

/** @param {Context} context @returns {import('./plot.js').PlotData} */
function documentsPlot({ collections }) {
  return {
    title: 'Documents by collection',
    labels: collections.map(({ name }) => name),
    series: [{ label: 'Documents', values: collections.map(({ sources }) => sources), color: '--added' }],
    show: (value) => (Number.isInteger(value) ? count(value) : ''),
    bars: true,
  };
}

/** @returns {import('./plot.js').PlotData | Node} */
function timingsPlot() {
  const all = timings();
  if (all.length === 0)
    return h(
      'figure',
      {},
      h('figcaption', {}, 'Time of your searches'),
      h('p', { class: 'soft' }, 'Search something, and its times are here.'),
    );
  return {
    title: 'Time of your searches in this tab',
    labels: all.map(
      ({ way }, i) => `${i + 1} ${WAY_NAMES[/** @type {import('./state.js').Way} */ (way)] ?? way}`,
    ),
    series: [
      { label: 'Whole search', values: all.map(({ tookUs }) => tookUs), color: '--accent' },
      { label: 'Finding', values: all.map(({ searchUs }) => searchUs), color: '--added' },
      { label: 'Reranking', values: all.map(({ rerankUs }) => rerankUs), color: '--third' },
    ],
    show: time,
    bars: false,
  };
}

/** @param {NonNullable<Context['info']>} info */
function fieldsTable({ fields }) {
  if (fields.length === 0) return h('p', { class: 'soft' }, 'No fields are declared for filters.');
  return h(
    'table',
    { class: 'figures' },
    h('caption', {}, 'Fields for filters, order and facets'),
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Name'), h('th', { scope: 'col' }, 'Type'))),
    h(
      'tbody',
      {},
      ...fields.map(({ name, type }) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, type))),
    ),
  );
}
