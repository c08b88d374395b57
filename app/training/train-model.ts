import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type JudgedQueries, type JudgedQuery, readJudgedQueries } from '../../corpus/judged-queries.ts';
import { defined } from '../../defined.ts';
import { DEFAULT_MODEL, openModel } from '../../encoder/model.ts';
import { createCrossEncoder } from '../../encoder/rerank/cross-encoder.ts';
import { DEFAULT_RERANKER, openCrossEncoderModel } from '../../encoder/rerank/model.ts';
import { requireReplaceable } from '../../encoder/training/output/model-files.ts';
import type { TrainingStage } from '../../encoder/training/types.ts';
import { WinnowError } from '../../errors.ts';
import { machineLine } from '../../evaluation/report.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { openEmbedded } from '../../query/embedded/open-embedded.ts';
import { adoptModel, recoverModel } from './adopt-model.ts';
import { CONTROL_SET, controlCollection, controlTrainingQueries } from './control-set.ts';
import { indexDocuments, indexPairTexts, requireDocuments } from './documents.ts';
import { heldOutCollection } from './held-out.ts';
import { Labeller } from './labelling.ts';
import { type Collection, documentsOf, type Measurement, measure } from './measure.ts';
import { planCutQueries, planJudgedQueries, rarityOf } from './query-plan.ts';
import { changedQueries, compare, type TrainingReport, verdictOf } from './report.ts';
import type { RunState } from './run-state.ts';
import { type Split, splitQueries } from './split.ts';
import { type Trained, trainOnExamples } from './student.ts';
import { type LabelledQuery, labelQueries } from './supervision.ts';
import type { RunPhase, TrainModelOptions } from './types.ts';

/** Share of the minutes that labelling may take. */
const LABEL_SHARE = 0.3;
/** Held-out queries wanted: shares of all, and how many are enough to see a small difference. */
const TEST = { share: 0.15, most: 200 };
const VALIDATION = { share: 0.08, most: 60 };
/** Passages of the collection of early stopping: small, because it is encoded again each time. */
const VALIDATION_DOCUMENTS = 400;
/** Fewer queries teach nothing, and show nothing. */
const LEAST_QUERIES = 32;
const LEAST_HELD_OUT = 5;

/**
 * Adapts a model to documents, measures what came of it, and puts the new model into its place where it helped.
 *
 * All steps keep what they have done in the run's folder, so that a process that was stopped or killed is followed by one that goes on
 * where it was ({@link RunState.resume}).
 *
 * @throws the signal's reason when it is aborted; WinnowError of what is read, of the models and of the trainer
 */
export function trainModel(state: RunState, options: TrainModelOptions): Promise<TrainingReport> {
  return new TrainingRun(state, options).run();
}

interface Measured {
  readonly heldOut: Measurement;
  readonly control: Measurement;
  readonly controlSeconds: number;
}

class TrainingRun {
  private readonly state: RunState;
  private readonly options: TrainModelOptions;
  private readonly started = performance.now();
  private badRows = 0;

  constructor(state: RunState, options: TrainModelOptions) {
    this.state = state;
    this.options = options;
  }

  async run(): Promise<TrainingReport> {
    recoverModel(this.options.out);
    requireReplaceable(this.options.out);
    const ended = this.state.readReport();
    if (ended) return this.conclude(ended);
    const index = this.openIndex();
    try {
      return await this.runOn(index);
    } finally {
      await index.close();
    }
  }

  private async runOn(index: EmbeddedBackend): Promise<TrainingReport> {
    const { signal } = this.options;
    const judged = await this.judgedQueries();
    if (!this.state.progress.indexed) await this.fillIndex(index, judged?.queries ?? []);
    const labelStart = performance.now();
    const labelled = await this.label(index, judged?.queries);
    const split = this.split(labelled);
    const labelSeconds = secondsSince(labelStart);
    const { seed, measureOn } = this.state.input;
    const heldOut = await heldOutCollection(index, split.test, measureOn, seed);
    const validation = await heldOutCollection(index, split.validation, VALIDATION_DOCUMENTS, seed);
    const control = await controlCollection();
    const trainStart = performance.now();
    const bm25 = (await measure(heldOut, ['bm25'], {}, this.state.path('measured'), signal)).bm25;
    const before = await this.measureBoth(heldOut, control, this.comparedWith(), index);
    const measureSeconds = secondsSince(trainStart);
    // Of the held-out collection the weights may be known already; the control set is encoded.
    const secondsPerDocument = before.controlSeconds / documentsOf(control);
    const trained = await trainOnExamples(this.state, this.options, {
      index,
      queries: split.train,
      validation,
      secondsLeft: this.secondsLeft() - secondsPerDocument * (documentsOf(heldOut) + documentsOf(control)),
      secondsPerDocument,
      progress: (fraction, note) => this.progress('train', fraction, note),
    });
    const trainSeconds = secondsSince(trainStart) - measureSeconds;
    const measureStart = performance.now();
    const after = await this.measureBoth(heldOut, control, trained.folder, index);
    const report = this.report({ before, after, bm25 }, { heldOut, control }, split, trained, index, {
      label: labelSeconds,
      train: trainSeconds,
      measure: measureSeconds + secondsSince(measureStart),
    });
    this.state.keepReport(report);
    return this.conclude(report);
  }

  private openIndex(): EmbeddedBackend {
    const { index, model, stage, fromScratch } = this.state.input;
    const { threads } = this.options;
    if (index !== undefined)
      return openEmbedded(index, {
        readOnly: true,
        ...defined({ threads, model: stage === 'rerank' ? undefined : model }),
      });
    const encoder = stage === 'rerank' || fromScratch ? DEFAULT_MODEL : (model ?? DEFAULT_MODEL);
    return openEmbedded(this.state.path('index'), { create: true, model: encoder, ...defined({ threads }) });
  }

  private async judgedQueries(): Promise<JudgedQueries | undefined> {
    const { pairs, clicks, docs, fromScratch } = this.state.input;
    const file = pairs ?? clicks;
    if (file === undefined) return fromScratch && docs === CONTROL_SET ? controlTrainingQueries() : undefined;
    const found = await readJudgedQueries(file, pairs === undefined ? 'clicks' : 'pairs', (error) =>
      this.options.onBadRow?.(error),
    );
    this.badRows = found.badRows;
    return found;
  }

  private async fillIndex(index: EmbeddedBackend, queries: readonly JudgedQuery[]): Promise<void> {
    const { docs, index: given, pairs } = this.state.input;
    if (given === undefined) {
      const options = {
        signal: this.options.signal,
        onProgress: (fraction: number, documents: number) =>
          this.progress('index', fraction, `${documents.toLocaleString('en')} documents`),
        onBadRow: (error: Parameters<NonNullable<TrainModelOptions['onBadRow']>>[0]) =>
          this.options.onBadRow?.(error),
      };
      if (docs === undefined) await indexPairTexts(queries, index, pairs!, options);
      else await indexDocuments(docs, index, options);
      await index.finishMerges();
    } else requireDocuments(index, given);
    this.state.note({ indexed: true });
  }

  private async label(
    index: EmbeddedBackend,
    judged: readonly JudgedQuery[] | undefined,
  ): Promise<readonly LabelledQuery[]> {
    const { queries: count, seed, minutes, rerankDepth } = this.state.input;
    const { progress } = this.state;
    const { tokenizer, query } = openModel();
    const plan = await this.state.plan(async () => [
      ...(judged ? await planJudgedQueries(index, judged, seed) : []),
      ...(await planCutQueries(index, { count, seed, rarity: rarityOf(tokenizer, query.idf) })),
    ]);
    const wanted = plan.slice(0, progress.labelled ?? plan.length);
    const judge = openCrossEncoderModel(this.state.input.reranker ?? DEFAULT_RERANKER);
    const reranker = createCrossEncoder(judge, {
      threads: this.options.threads,
    });
    const started = performance.now();
    const left = LABEL_SHARE * minutes * 60 - (progress.labelSeconds ?? 0);
    try {
      const labelled = await labelQueries(wanted, new Labeller(index, reranker), {
        file: this.state.path('labels.jsonl'),
        rerankDepth,
        deadline: progress.labelled === undefined ? started + 1000 * left : Number.POSITIVE_INFINITY,
        signal: this.options.signal,
        onProgress: (done, total) => this.progress('label', done / total, `${done} of ${total} queries`),
      });
      this.state.note({ labelled: labelled.done });
      return labelled.queries;
    } finally {
      this.state.note({ labelSeconds: (progress.labelSeconds ?? 0) + secondsSince(started) });
      await reranker.close();
    }
  }

  private split(labelled: readonly LabelledQuery[]): Split<LabelledQuery> {
    // What the index lacks cannot be found: such pairs are trained on.
    const judged = labelled.filter((query) => query.judged && query.judged.positives.length > 0);
    // What people judged is what counts; queries that were cut out are held out where there is nothing else.
    const eligible = judged.length > 0 ? judged : labelled;
    const wanted = ({ share, most }: { share: number; most: number }): number =>
      Math.min(most, Math.floor(share * eligible.length));
    const held = splitQueries(eligible, {
      validation: wanted(VALIDATION),
      test: wanted(TEST),
      seed: this.state.input.seed,
    });
    const split =
      judged.length > 0
        ? joinCut(
            held,
            labelled.filter((query) => !judged.includes(query)),
          )
        : held;
    if (split.train.length >= LEAST_QUERIES && split.test.length >= LEAST_HELD_OUT) return split;
    const { train, validation, test } = split;
    throw new WinnowError(
      'WINNOW_EMPTY_CORPUS',
      `${labelled.length} queries are too few to train and to measure: ${train.length} would be trained on, ` +
        `${validation.length + test.length} held out`,
      {
        place: this.state.input.pairs ?? this.state.input.clicks ?? this.state.input.docs ?? this.options.out,
        hint: 'give more documents or pairs, or more --minutes',
      },
    );
  }

  /** What the new model has to beat: the model at the target, else the one that training begins with. */
  private comparedWith(): string | undefined {
    const { model, stage, fromScratch } = this.state.input;
    if (existsSync(join(this.options.out, 'config.json'))) return this.options.out;
    if (fromScratch) return undefined;
    return model ?? startOf(stage);
  }

  private async measureBoth(
    heldOut: Collection,
    control: Collection,
    model: string | undefined,
    index: EmbeddedBackend,
  ): Promise<Measured> {
    const { stage } = this.state.input;
    // Without a model to compare with, words are what has to be beaten.
    const measured = model === undefined ? 'bm25' : stage;
    const one = async (collection: Collection, note: string): Promise<Measurement> => {
      this.progress('measure', 0, note);
      const models = stage === 'rerank' ? { reranker: model } : { model };
      return (
        await measure(
          collection,
          [measured],
          { ...models, threads: this.options.threads, encoded: index },
          this.state.path('measured'),
          this.options.signal,
        )
      )[measured];
    };
    const onHeldOut = await one(heldOut, 'held-out queries');
    const started = performance.now();
    const onControl = await one(control, 'control set');
    return { heldOut: onHeldOut, control: onControl, controlSeconds: secondsSince(started) };
  }

  private secondsLeft(): number {
    const earlier = this.state.progress.labelSeconds ?? 0;
    return this.state.input.minutes * 60 - Math.max(earlier, secondsSince(this.started));
  }

  private progress(phase: RunPhase, fraction: number, note?: string): void {
    this.options.onProgress?.({ phase, fraction, ...defined({ note }) });
  }

  private report(
    { before, after, bm25 }: { before: Measured; after: Measured; bm25: Measurement },
    { heldOut, control }: { heldOut: Collection; control: Collection },
    split: Split<LabelledQuery>,
    trained: Trained,
    index: EmbeddedBackend,
    seconds: TrainingReport['seconds'],
  ): TrainingReport {
    const { input } = this.state;
    const { folder: _, ...training } = trained;
    const compared = compare(before.heldOut, after.heldOut);
    const terms = { before: before.heldOut.termsPerDocument, after: after.heldOut.termsPerDocument };
    return {
      created: new Date().toISOString(),
      machine: machineLine(),
      target: this.options.out,
      input,
      start: input.fromScratch ? 'a new model' : (input.model ?? startOf(input.stage)),
      comparedWith: this.comparedWith() ?? 'BM25',
      verdict: verdictOf(compared),
      replaced: false,
      documents: index.stats().documents,
      supervision: {
        kind:
          input.clicks !== undefined ? 'clicks' : split.test.some(({ judged }) => judged) ? 'pairs' : 'cut',
        badRows: this.badRows,
        labelled: split.train.length + split.validation.length + split.test.length + split.dropped.length,
        train: split.train.length,
        validation: split.validation.length,
        test: heldOut.queries.length,
        dropped: split.dropped.length,
      },
      heldOut: { ...compared, bm25: bm25.mean, documents: documentsOf(heldOut) },
      control: { ...compare(before.control, after.control), documents: documentsOf(control) },
      ...(input.stage === 'rerank' || terms.before === undefined || terms.after === undefined
        ? {}
        : { terms: { before: terms.before, after: terms.after } }),
      training,
      seconds,
      ...changedQueries(heldOut, before.heldOut, after.heldOut),
    };
  }

  /** Of a run that has ended without replacing the model, the candidate is kept: a later process may be forced to take it. */
  private conclude(report: TrainingReport): TrainingReport {
    const { out, force = false } = this.options;
    const replaced = report.verdict === 'helped' || force;
    if (replaced) {
      adoptModel(this.state.candidate, out);
      this.state.remove();
    } else this.state.removeScratch();
    return { ...report, replaced };
  }
}

/** Adds queries that were cut out of documents to those that are trained on, unless a held-out query is about the same. */
function joinCut(split: Split<LabelledQuery>, cut: readonly LabelledQuery[]): Split<LabelledQuery> {
  const heldOut = new Set([...split.validation, ...split.test].flatMap(({ about }) => about));
  const isFree = ({ about }: LabelledQuery): boolean => !about.some((id) => heldOut.has(id));
  return {
    ...split,
    train: [...split.train, ...cut.filter(isFree)],
    dropped: [...split.dropped, ...cut.filter((query) => !isFree(query))],
  };
}

const startOf = (stage: TrainingStage): string => (stage === 'rerank' ? DEFAULT_RERANKER : DEFAULT_MODEL);

const secondsSince = (start: number): number => (performance.now() - start) / 1000;
