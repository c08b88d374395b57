import type { HitDetail, QueryDetail } from '../query-details.ts';
import { queryDeltaPlot } from './plots.ts';
import { escapeXml as e } from './svg.ts';
import { figure, swatch, type View } from './view.ts';

/** Query by query: differences to the baseline, and the first hits of the queries shown in full. */
export function queriesSection(view: View): string {
  const { comparisons, queries } = view.report;
  const plots = comparisons.map(({ dataset, system, baseline, metric }) => {
    const deltas = queries
      .filter((query) => query.dataset === dataset)
      .map(({ text, values }) => ({ text, delta: (values[system] ?? 0) - (values[baseline] ?? 0) }));
    return figure(`${dataset}: ${system} against ${baseline}`, queryDeltaPlot(deltas, metric));
  });
  const groups: [NonNullable<QueryDetail['shownAs']>, string][] = [
    ['loss', 'Largest losses'],
    ['gain', 'Largest gains'],
    ['unanswered', 'Queries that every system answers badly'],
  ];
  const shown = groups.map(([reason, heading]) => {
    const blocks = queries
      .filter(({ shownAs }) => shownAs === reason)
      .map((query) => queryBlock(view, query));
    return blocks.length === 0 ? '' : `<h3>${heading}</h3>${blocks.join('')}`;
  });
  return (
    `<p class="soft">Each bar is one query; hover it for the text.</p><div class="plots">${plots.join('')}</div>` +
    '<p class="soft">Open a query to see the first hits of each system. Green: judged relevant.</p>' +
    shown.join('')
  );
}

function queryBlock(view: View, { dataset, text, id, values, hits = {}, missed = [] }: QueryDetail): string {
  const figures = Object.entries(values).map(([system, v]) => `${swatch(view, system)} ${v.toFixed(3)}`);
  const columns = Object.entries(hits).map(
    ([system, list]) =>
      `<div><h4>${swatch(view, system)}</h4>${list.map(hitBlock).join('') || '<p class="soft">nothing found</p>'}</div>`,
  );
  if (missed.length > 0)
    columns.push(
      `<div><h4>Judged relevant, not among these</h4>${missed.map((m) => hitBlock({ ...m, score: Number.NaN })).join('')}</div>`,
    );
  return (
    `<details><summary><span class="text">${e(text)}</span><span class="values">${e(dataset)} ${e(id)} &nbsp; ${figures.join(' &nbsp; ')}</span></summary>` +
    `<div class="answers">${columns.join('')}</div></details>`
  );
}

function hitBlock({ id, score, grade, snippet, explanation }: HitDetail): string {
  const relevant = grade !== null && grade > 0 ? ' relevant' : '';
  const chip = `<span class="chip${relevant}">${grade === null ? 'not judged' : `grade ${grade}`}</span>`;
  const points = Number.isFinite(score) ? ` <span class="soft">${score.toPrecision(4)}</span>` : '';
  const why = explanation === undefined ? '' : `<br><span class="why">${e(explanation)}</span>`;
  return `<div class="hit${relevant}">${chip}<b>${e(id)}</b>${points}<br>${e(snippet)}${why}</div>`;
}
