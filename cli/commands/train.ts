import { writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import pc from 'picocolors';
import { CONTROL_SET } from '../../app/training/control-set.ts';
import { trainingHtml } from '../../app/training/html-report.ts';
import { summary, type TrainingReport } from '../../app/training/report.ts';
import { RunState } from '../../app/training/run-state.ts';
import { trainModel } from '../../app/training/train-model.ts';
import type { RunPhase, TrainingInput } from '../../app/training/types.ts';
import { defined } from '../../defined.ts';
import {
  TRAINING_SCOPES,
  TRAINING_STAGES,
  type TrainingScope,
  type TrainingStage,
} from '../../encoder/training/types.ts';
import { WinnowError } from '../../errors.ts';
import { number, wholeNumber } from '../options.ts';
import { printable } from '../printable.ts';
import { duration, Progress } from '../progress.ts';

interface TrainCliOptions {
  readonly out: string;
  readonly index?: string;
  readonly pairs?: string;
  readonly clicks?: string;
  readonly model?: string;
  readonly reranker?: string;
  readonly stage: TrainingStage;
  readonly scope: TrainingScope;
  readonly fromScratch?: boolean;
  readonly minutes: number;
  readonly queries?: number;
  readonly measureOn: number;
  readonly seed: number;
  readonly trainedShare?: number;
  readonly rerankDepth: number;
  readonly memory?: number;
  readonly threads?: number;
  readonly resume?: boolean;
  readonly force?: boolean;
  readonly html?: string;
  readonly json?: boolean;
}

/** Bad rows printed in full; the rest are only counted. */
const SHOWN_BAD_ROWS = 20;
/** Queries that are cut out of documents, where nobody gave some. */
const CUT_QUERIES = 1500;
/** Of the gain on SciFact two thirds stay, and more than half of what NFCorpus forgot comes back (docs/fine-tuning.md). */
const TRAINED_SHARE = 0.7;

export function registerTrain(program: Command): void {
  const command = program
    .command('train')
    .description(
      'adapt a model to your documents: to queries cut out of them, or to your own pairs or clicks; it replaces the model at --out only when it is better on held-out queries',
    )
    .argument(
      '[docs]',
      'what `winnow index` reads: a BEIR folder, a .jsonl or .csv file, or a folder of files',
    )
    .requiredOption('--out <folder>', 'model folder to make; a run keeps its state in <folder>.training')
    .option('--index <dir>', 'read the documents of an index instead')
    .option(
      '--pairs <file>',
      '.jsonl of {"query", "positive", "negatives"?}: documents by id or text, one or a list',
    )
    .option('--clicks <file>', '.jsonl of {"query", "clicked": [ids], "shown"?: [ids]}')
    .addOption(
      new Option(
        '--scope <name>',
        'what is trained: the head (fastest), a slice of the channels, all weights',
      )
        .choices(TRAINING_SCOPES)
        .default('head'),
    )
    .addOption(
      new Option('--stage <name>', 'which output: term weights, vectors, or the reranker')
        .choices(TRAINING_STAGES)
        .default('encoder'),
    )
    .option(
      '--model <name>',
      'model to begin with (default: winnow-mini, or winnow-rerank for --stage rerank)',
    )
    .option('--reranker <name>', 'reranker that labels queries (default: winnow-rerank)')
    .option(
      '--rerank-depth <n>',
      'passages per query that it reads; fewer label faster, 0 does without it',
      wholeNumber(0, 100),
      12,
    )
    .option(
      '--from-scratch',
      'begin with a tiny model of random weights; without documents it learns from the control set',
    );
  addRunOptions(command).action(run);
}

/** Options of how long, how much and what for. */
function addRunOptions(command: Command): Command {
  return command
    .option('--minutes <n>', 'time that the whole run may take, measuring included', number(0, 100_000), 30)
    .option('--memory <MB>', "bound of the trainer's memory", wholeNumber(64, 1_000_000))
    .option('--threads <n>', 'threads (default: the cores, at most 8)', wholeNumber(0, 64))
    .option(
      '--queries <n>',
      `queries that are cut out of the documents (default: ${CUT_QUERIES}; 0 with --pairs or --clicks)`,
      wholeNumber(0, 1_000_000),
    )
    .option(
      '--measure-on <n>',
      'passages that before and after are compared on',
      wholeNumber(50, 10_000_000),
      1500,
    )
    .option(
      '--trained-share <share>',
      `share of the trained weights in the new model; the model to begin with has the rest, and less is forgotten (default: ${TRAINED_SHARE}; 1 with --from-scratch and --stage rerank)`,
      number(0, 1),
    )
    .option('--seed <n>', 'of everything that is drawn', wholeNumber(0, 1_000_000), 1)
    .option('--resume', 'go on with the run of --out that was stopped')
    .option('--force', 'replace the model at --out in any case')
    .option('--html <file>', 'where the report goes (default: <out>.html)')
    .option('--json', 'print the report as one JSON object');
}

async function run(docs: string | undefined, options: TrainCliOptions): Promise<void> {
  const { out, resume, force = false, threads, memory, json } = options;
  const state = resume ? RunState.resume(out) : RunState.begin(out, inputOf(docs, options));
  const stop = new AbortController();
  const interrupt = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort(new Error('interrupted'));
    process.stderr.write('\nstopping after this step (press Ctrl-C again to stop at once)\n');
  };
  process.on('SIGINT', interrupt);
  const progress = new PhaseProgress();
  let shown = 0;
  try {
    const report = await trainModel(state, {
      out,
      force,
      signal: stop.signal,
      ...defined({ threads, memoryMB: memory }),
      onProgress: ({ phase, fraction, note }) => progress.update(phase, fraction, note),
      onNotice: (message) => progress.print(pc.yellow(printable(message))),
      onBadRow: (error) => {
        if (shown++ < SHOWN_BAD_ROWS) progress.print(pc.yellow(printable(`skipped ${error}`)));
      },
    });
    progress.done();
    const html = options.html ?? `${out.replace(/[/\\]+$/, '')}.html`;
    writeFileSync(html, trainingHtml(report));
    if (json) console.log(JSON.stringify(report));
    else print(report, html);
    if (!report.replaced) process.exitCode = NOT_REPLACED;
  } catch (error) {
    progress.done();
    if (!stop.signal.aborted) throw error;
    console.error(`interrupted: go on with winnow train --resume --out ${printable(out)}`);
    process.exitCode = 130;
  } finally {
    process.off('SIGINT', interrupt);
  }
}

/** Exit code where all went well and the model at the target is as it was. */
const NOT_REPLACED = 3;

/** @throws WinnowError WINNOW_BAD_ARGUMENT for options that contradict each other */
function inputOf(docs: string | undefined, options: TrainCliOptions): TrainingInput {
  const {
    index,
    pairs,
    clicks,
    model,
    reranker,
    stage,
    scope,
    fromScratch = false,
    minutes,
    measureOn,
    seed,
    trainedShare = fromScratch || stage === 'rerank' ? 1 : TRAINED_SHARE,
  } = options;
  const bad = (place: string, message: string, hint: string) =>
    new WinnowError('WINNOW_BAD_ARGUMENT', message, { place, hint });
  if (docs !== undefined && index !== undefined)
    throw bad('--index', 'documents come from a corpus or from an index', 'leave one out');
  if (pairs !== undefined && clicks !== undefined)
    throw bad('--clicks', 'pairs and clicks are trained on one at a time', 'leave one out');
  if (fromScratch && (model !== undefined || stage !== 'encoder'))
    throw bad('--from-scratch', 'makes a new document encoder', 'leave out --model and --stage');
  const source = docs ?? (fromScratch && index === undefined ? CONTROL_SET : undefined);
  if (source === undefined && index === undefined && pairs === undefined)
    throw bad('docs', 'there is nothing to train on', 'name your documents, or give --index or --pairs');
  const judged = pairs !== undefined || clicks !== undefined;
  return {
    ...defined({ docs: source, index, pairs, clicks, model, reranker }),
    stage,
    scope: fromScratch ? 'all' : scope,
    fromScratch,
    trainedShare,
    minutes,
    queries: options.queries ?? (judged ? 0 : CUT_QUERIES),
    rerankDepth: options.rerankDepth,
    measureOn,
    seed,
  };
}

function print(report: TrainingReport, html: string): void {
  const [headline, ...lines] = summary(report);
  const colour = { helped: pc.green, 'not-shown': pc.yellow, worse: pc.red }[report.verdict];
  console.log(pc.bold(colour(headline!)));
  for (const line of lines) console.log(printable(line));
  for (const [heading, rows] of [
    ['gained most', report.gained],
    ['lost most', report.lost],
  ] as const)
    for (const { query, before, after } of rows.slice(0, 3))
      console.log(pc.dim(printable(`${heading}: ${before.toFixed(3)} -> ${after.toFixed(3)}  ${query}`)));
  const { label, train, measure } = report.seconds;
  console.log(
    `labelling ${duration(label)}, training ${duration(train)} (${report.training.steps} steps), measuring ${duration(measure)}`,
  );
  const { target } = report;
  console.log(
    printable(
      report.replaced
        ? `the new model is at ${target}: use it with ${report.input.stage === 'rerank' ? '--reranker' : '--model'} ${target}`
        : `${target} is as it was; winnow train --resume --force --out ${target} takes the new model all the same`,
    ),
  );
  console.log(printable(`report: ${html}`));
}

const LABELS: Readonly<Record<RunPhase, string>> = {
  index: 'reading documents',
  label: 'labelling queries',
  train: 'training',
  measure: 'measuring',
};

/** A progress line per phase. */
class PhaseProgress {
  private phase: RunPhase | undefined;
  private line: Progress | undefined;

  update(phase: RunPhase, fraction: number, note?: string): void {
    if (phase !== this.phase) {
      this.line?.done();
      this.phase = phase;
      this.line = new Progress(LABELS[phase]);
    }
    this.line!.update({ fraction, encoded: 0, ...defined({ note }) });
  }

  print(message: string): void {
    (this.line ?? new Progress('')).print(message);
  }

  done(): void {
    this.line?.done();
  }
}
