import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../../durable-files.ts';
import { requireReplaceable } from '../../encoder/training/output/model-files.ts';
import { WinnowError } from '../../errors.ts';
import { recoverModel } from './adopt-model.ts';
import type { PlannedQuery } from './query-plan.ts';
import type { TrainingReport } from './report.ts';
import type { TrainingInput } from './types.ts';

/** What a run has decided or finished, so that a later process goes on with it. */
export interface RunProgress {
  /** Whether all documents are in the run's own index. */
  readonly indexed?: boolean;
  /** Seconds spent on labelling by processes that ended in order. */
  readonly labelSeconds?: number;
  /** Queries that were labelled when labelling ended. */
  readonly labelled?: number;
  /** Examples and optimiser steps, once they were decided. */
  readonly examples?: number;
  readonly steps?: number;
}

interface RunFile {
  readonly version: 1;
  readonly input: TrainingInput;
  readonly progress: RunProgress;
}

const RUN_FILE = 'run.json';
const PLAN_FILE = 'plan.jsonl';
const REPORT_FILE = 'report.json';

/** The folder beside the target in which a run keeps all that it has done: every step can be taken up by a later process. */
export class RunState {
  readonly folder: string;
  readonly input: TrainingInput;
  private known: RunProgress;

  private constructor(folder: string, input: TrainingInput, progress: RunProgress) {
    this.folder = folder;
    this.input = input;
    this.known = progress;
  }

  /** Where the run for a target is kept. */
  static folderOf(target: string): string {
    return `${target.replace(/[/\\]+$/, '')}.training`;
  }

  /** @throws WinnowError WINNOW_ALREADY_EXISTS where an unfinished run is, or what a model may not replace */
  static begin(target: string, input: TrainingInput): RunState {
    const folder = RunState.folderOf(target);
    recoverModel(target);
    // Before the run exists: what is refused must leave nothing to clean up.
    requireReplaceable(target);
    if (existsSync(join(folder, RUN_FILE)))
      throw new WinnowError('WINNOW_ALREADY_EXISTS', 'a run for this target has not ended', {
        place: folder,
        hint: `go on with: winnow train --resume --out ${target}; or delete the folder to begin anew`,
      });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const state = new RunState(folder, input, {});
    state.write();
    return state;
  }

  /** @throws WinnowError WINNOW_NOT_FOUND without a run, WINNOW_BAD_ARGUMENT for one that this version does not know */
  static resume(target: string): RunState {
    const folder = RunState.folderOf(target);
    const file = join(folder, RUN_FILE);
    if (!existsSync(file))
      throw new WinnowError('WINNOW_NOT_FOUND', 'there is no run to go on with', {
        place: folder,
        hint: 'leave out --resume to begin one',
      });
    const { version, input, progress } = JSON.parse(readFileSync(file, 'utf8')) as RunFile;
    if (version !== 1)
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `the run was begun by another version of winnow`, {
        place: file,
        hint: 'delete the folder and begin anew',
      });
    return new RunState(folder, input, progress);
  }

  get progress(): RunProgress {
    return this.known;
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** Notes what was decided or done; it is on disk when the call returns. */
  note(progress: RunProgress): void {
    this.known = { ...this.known, ...progress };
    this.write();
  }

  /** The queries of the run, kept as they are made first: documents and files may change later, labels belong to these. */
  async plan(make: () => Promise<PlannedQuery[]>): Promise<PlannedQuery[]> {
    const file = this.path(PLAN_FILE);
    if (existsSync(file))
      return readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as PlannedQuery);
    const plan = await make();
    this.replace(PLAN_FILE, plan.map((query) => `${JSON.stringify(query)}\n`).join(''));
    return plan;
  }

  /** Model folder that the trainer writes. */
  get candidate(): string {
    return this.path('candidate');
  }

  /** Keeps the report of a run that has trained and measured. */
  keepReport(report: TrainingReport): void {
    this.replace(REPORT_FILE, JSON.stringify(report));
  }

  readReport(): TrainingReport | undefined {
    const file = this.path(REPORT_FILE);
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as TrainingReport) : undefined;
  }

  /** Removes what only a run under way needs; the report and the model stay. */
  removeScratch(): void {
    for (const name of ['index', 'checkpoint', 'measured', 'validated', 'start'])
      rmSync(this.path(name), { recursive: true, force: true });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private write(): void {
    const content: RunFile = { version: 1, input: this.input, progress: this.known };
    this.replace(RUN_FILE, `${JSON.stringify(content, null, 1)}\n`);
  }

  /** A file is there whole or not at all. */
  private replace(name: string, content: string): void {
    replaceFile(this.path(name), content, 0o600);
  }
}
