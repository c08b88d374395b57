import { barPlot, type Point, queryDeltaPlot, scatterPlot, signed } from '../../evaluation/html/plots.ts';
import { escapeXml as e } from '../../evaluation/html/svg.ts';
import { figure, page, table } from '../../evaluation/html/view.ts';
import { type ChangedQuery, type Comparison, summary, type TrainingReport } from './report.ts';

/** The report of a run as one HTML page without scripts or outside files. */
export function trainingHtml(report: TrainingReport): string {
  const { created, machine, target, start, comparedWith, input } = report;
  const facts =
    `${e(created.slice(0, 16).replace('T', ' '))} UTC · ${e(machine)}<br>` +
    `stage ${e(input.stage)}, scope ${e(input.scope)}, begun with ${e(start)}, compared with ${e(comparedWith)}, for ${e(target)}`;
  return page('Fine-tuning', facts, [
    ['verdict', 'Did it help?', verdictSection(report)],
    ['queries', 'Queries that gained and lost', queriesSection(report)],
    ['training', 'Training', trainingSection(report)],
  ]);
}

function verdictSection(report: TrainingReport): string {
  const { heldOut, control, replaced, verdict, input, terms } = report;
  const [headline] = summary(report);
  const what = replaced
    ? `The new model is at <b>${e(report.target)}</b>.`
    : 'The model at the target is as it was.';
  const name = verdict === 'helped' ? 'gain' : verdict === 'worse' ? 'loss' : 'soft';
  const bars = [
    { series: 6, name: 'BM25', value: heldOut.bm25 },
    { series: 0, name: 'before', value: heldOut.before },
    { series: 1, name: 'after', value: heldOut.after },
  ];
  const rows = [
    comparisonRow('held-out queries', heldOut, heldOut.documents),
    comparisonRow('control set', control, control.documents),
  ];
  const header = [
    'collection',
    'documents',
    'queries',
    'before',
    'after',
    'difference',
    '95 % interval',
    'better',
    'equal',
    'worse',
    'p',
  ];
  const shares =
    terms === undefined
      ? ''
      : `<p>Terms per document: ${terms.before.toFixed(1)} before, ${terms.after.toFixed(1)} after.</p>`;
  return (
    `<p class="${name}"><b>${e(headline!)}</b></p><p>${what}</p>` +
    `<div class="plots">${figure('Held-out queries', barPlot(bars, 'ndcg@10'))}</div>` +
    table(header, rows) +
    shares +
    `<p class="soft">${e(howMeasured(report))} p: paired randomisation test, the chance of such a difference by luck alone. ` +
    `${CONTROL}${input.fromScratch ? '' : ': what it loses, the model has forgotten'}. Stage: ${e(input.stage)}.</p>`
  );
}

const CONTROL = 'The control set is general questions that have nothing to do with the documents';

function howMeasured({ supervision, input }: TrainingReport): string {
  const what =
    supervision.kind === 'cut'
      ? 'Held-out queries were cut out of the documents, and BM25, the vectors and the reranker together say which documents answer them: no person judged them.'
      : 'Held-out queries are those of people, with the documents that they called right.';
  return `${what} No held-out query, and no document that one is about, was trained on. Seed ${input.seed}.`;
}

function comparisonRow(name: string, { before, after, test }: Comparison, documents: number): string {
  const [low, high] = test.interval95;
  const interval = Number.isFinite(low) ? `${signed(low)} … ${signed(high)}` : '-';
  return (
    `<tr><td class="name">${e(name)}</td><td>${documents.toLocaleString('en')}</td><td>${test.queries}</td>` +
    `<td>${before.toFixed(4)}</td><td>${after.toFixed(4)}</td>` +
    `<td class="${test.difference < 0 ? 'loss' : 'gain'}">${signed(test.difference)}</td><td>${interval}</td>` +
    `<td>${test.wins}</td><td>${test.ties}</td><td>${test.losses}</td><td>${test.pRandomisation.toFixed(4)}</td></tr>`
  );
}

function queriesSection({ gained, lost, deltas }: TrainingReport): string {
  const list = (heading: string, rows: readonly ChangedQuery[]): string =>
    rows.length === 0 ? '' : `<h3>${heading}</h3>${rows.map(changedQuery).join('')}`;
  return (
    `<p class="soft">Each bar is one held-out query; hover it for the text.</p><div class="plots">${figure('Difference by query', queryDeltaPlot(deltas, 'ndcg@10'))}</div>` +
    list('Largest gains', gained) +
    list('Largest losses', lost)
  );
}

const changedQuery = ({ query, before, after, answers }: ChangedQuery): string =>
  `<details><summary><span class="text">${e(query)}</span><span class="values">${before.toFixed(3)} → ${after.toFixed(3)}</span></summary>` +
  `<div class="answers">${answers.map((answer) => `<div class="hit relevant">${e(answer)}</div>`).join('')}</div></details>`;

/** Points of the loss curve: more would not be seen. */
const CURVE_POINTS = 120;

function trainingSection({ training, supervision, seconds, documents }: TrainingReport): string {
  const { losses, steps, bestStep, stoppedEarly, examples, firstScore, bestScore } = training;
  const width = Math.max(1, Math.ceil(losses.length / CURVE_POINTS));
  const points: Point[] = [];
  for (let at = 0; at < losses.length; at += width) {
    const part = losses.slice(at, at + width);
    const mean = part.reduce((sum, loss) => sum + loss, 0) / part.length;
    points.push({ series: 0, name: 'loss', x: at + part.length, y: mean, group: 'loss' });
  }
  const curve =
    points.length < 2
      ? ''
      : `<div class="plots">${figure('Loss', scatterPlot(points, { x: 'step', y: 'loss' }))}</div>`;
  const scores =
    firstScore === undefined || bestScore === undefined
      ? ''
      : ` Early stopping: nDCG@10 of ${supervision.validation} validation queries ${firstScore.toFixed(4)} at the start, ${bestScore.toFixed(4)} at its best.`;
  const kind = { cut: 'cut out of the documents', pairs: 'from pairs', clicks: 'from clicks' }[
    supervision.kind
  ];
  return (
    `<p>${documents.toLocaleString('en')} documents (passages). ${supervision.labelled.toLocaleString('en')} queries ${kind}: ${supervision.train.toLocaleString('en')} trained on, ` +
    `${supervision.validation} for early stopping, ${supervision.test} for the verdict, ${supervision.dropped} left out because they share a document with those; ` +
    `${supervision.badRows} rows could not be read.</p>` +
    `<p>${examples.toLocaleString('en')} examples, ${steps} steps${stoppedEarly ? ' (stopped early)' : ''}, best at step ${bestStep}.${scores}</p>` +
    `<p>Seconds: ${seconds.label.toFixed(0)} for labelling, ${seconds.train.toFixed(0)} for training, ${seconds.measure.toFixed(0)} for measuring.</p>${curve}`
  );
}
