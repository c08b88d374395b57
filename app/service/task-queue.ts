import { setTimeout as sleep } from 'node:timers/promises';
import { WinnowError } from '../../errors.ts';
import { busy } from '../lane.ts';
import { failureOf } from './failure.ts';
import { damagedState, readState, writeState } from './state-file.ts';
import type { Task, TaskProgress, TaskRequest, TaskStatus } from './types.ts';

/** Tasks that may wait. */
const MAX_QUEUED = 1_000;
/** Finished tasks that are remembered. */
const MAX_FINISHED = 1_000;
/** A task that the process died with this often is not tried again: it may be what it died of. */
const MAX_ATTEMPTS = 3;

/** Time that a call waits for the end of the task that it cancels, in ms. */
const CANCEL_WAIT_MS = 2_000;

/** What a running task is given. */
export interface TaskContext {
  /** Aborted when the task is cancelled or the queue is closed: the runner throws as soon as it can, unless it is done. */
  readonly signal: AbortSignal;
  readonly progress: (progress: TaskProgress) => void;
}

export type TaskRunner = (
  collection: string,
  request: TaskRequest,
  context: TaskContext,
) => Promise<Readonly<Record<string, unknown>>>;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Stored = Mutable<Omit<Task, 'etaSeconds'>>;

interface Running {
  readonly task: Stored;
  readonly abort: AbortController;
  /** On the clock of `performance.now()`. */
  readonly started: number;
  readonly ended: Promise<void>;
}

/**
 * Long work, one task after another in the order in which they came. Every change of a status is on disk when it shows, so that
 * the queue is the same after a restart: what was running then runs again from its start, which all types allow.
 */
export class TaskQueue {
  private readonly file: string | undefined;
  private readonly run: TaskRunner;
  private readonly onError: (error: unknown) => void;
  /** In the order of their ids. */
  private readonly tasks = new Map<string, Stored>();
  private nextId = 1;
  private running: Running | undefined;
  private closing: Promise<void> | undefined;

  /**
   * @param file that keeps the tasks; undefined: they are lost with the process
   * @param onError gets errors that are the program's own fault
   * @throws WinnowError WINNOW_INDEX_CORRUPT for a file that is damaged, WINNOW_STORAGE
   */
  constructor(file: string | undefined, run: TaskRunner, onError: (error: unknown) => void = () => {}) {
    this.file = file;
    this.run = run;
    this.onError = onError;
    if (file !== undefined) this.restore(readState(file), file);
  }

  /** Starts what was left over. Call it once everything that tasks need is there. */
  start(): void {
    if ([...this.tasks.values()].some(({ status }) => status === 'queued')) this.startNext();
  }

  /** @throws WinnowError WINNOW_BUSY, WINNOW_INDEX_CLOSED, WINNOW_STORAGE; the task is not queued then */
  add(collection: string, request: TaskRequest): Task {
    if (this.closing) throw new WinnowError('WINNOW_INDEX_CLOSED', 'the service was closed');
    if (this.withStatus('queued').length >= MAX_QUEUED) throw busy(`${MAX_QUEUED} tasks are waiting already`);
    const id = String(this.nextId);
    this.tasks.set(id, {
      id,
      type: request.type,
      collection,
      status: 'queued',
      request,
      progress: { done: 0, unit: 'steps' },
      createdAt: now(),
      attempts: 0,
    });
    try {
      this.nextId++;
      this.save();
    } catch (error) {
      this.tasks.delete(id);
      throw error;
    }
    this.startNext();
    return this.get(id);
  }

  /** Newest first. */
  list({ collection, status }: { readonly collection?: string; readonly status?: TaskStatus } = {}): Task[] {
    return [...this.tasks.values()]
      .filter((task) => collection === undefined || task.collection === collection)
      .filter((task) => status === undefined || task.status === status)
      .map((task) => this.shown(task))
      .reverse();
  }

  /** @throws WinnowError WINNOW_NOT_FOUND */
  get(id: string): Task {
    return this.shown(this.require(id));
  }

  /**
   * Takes a task out of the queue, or asks it to stop: it is `cancelled` when it has, which may take longer than this call. What it has
   * done until then stays. Finished ones stay as they are.
   *
   * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_STORAGE
   */
  async cancel(id: string): Promise<Task> {
    const task = this.require(id);
    if (task.status === 'queued') this.finish(task, { status: 'cancelled' });
    else if (this.running?.task === task) {
      this.running.abort.abort(CANCELLED);
      await Promise.race([this.running.ended, sleep(CANCEL_WAIT_MS, undefined, { ref: false })]);
    }
    return this.get(id);
  }

  /** Number of tasks that wait or run. */
  get length(): number {
    return this.withStatus('queued').length + (this.running ? 1 : 0);
  }

  /** Waits until no task is queued or running. */
  async idle(): Promise<void> {
    while (this.running) await this.running.ended;
  }

  /** Stops the running task, which is queued again for the next start. Never rejects. */
  close(): Promise<void> {
    this.closing ??= (async () => {
      this.running?.abort.abort(CLOSED);
      await this.running?.ended;
    })();
    return this.closing;
  }

  private restore(state: unknown, file: string): void {
    if (state === undefined) return;
    const { nextId, tasks } = (state ?? {}) as { nextId?: unknown; tasks?: unknown };
    if (!Number.isSafeInteger(nextId) || !Array.isArray(tasks)) throw damagedState(file, 'it has no tasks');
    this.nextId = nextId as number;
    for (const task of tasks as Stored[]) {
      if (typeof task?.id !== 'string' || typeof task.status !== 'string')
        throw damagedState(file, 'a task has no id or status');
      this.tasks.set(task.id, task);
      if (task.status !== 'running') continue;
      if (task.attempts < MAX_ATTEMPTS) task.status = 'queued';
      else
        Object.assign(task, {
          status: 'failed',
          finishedAt: now(),
          error: failureOf(
            new WinnowError(
              'WINNOW_TASK_INTERRUPTED',
              `the server ended ${task.attempts} times while it ran`,
              {
                hint: 'see the log of the server, and ask for it again',
              },
            ),
          ),
        });
    }
  }

  private startNext(): void {
    if (this.running || this.closing) return;
    const [task] = this.withStatus('queued');
    if (!task) return;
    const abort = new AbortController();
    task.status = 'running';
    task.attempts++;
    task.startedAt = now();
    const started = performance.now();
    const ended = this.runOne(task, abort.signal).then(() => {
      this.running = undefined;
      this.startNext();
    });
    this.running = { task, abort, started, ended };
  }

  /** Never rejects. */
  private async runOne(task: Stored, signal: AbortSignal): Promise<void> {
    try {
      this.save(); // before anything is done, so that a task that ends the process is counted
      const result = await this.run(task.collection, task.request, {
        signal,
        progress: (progress) => {
          task.progress = progress;
        },
      });
      this.finish(task, { status: 'succeeded', result });
    } catch (error) {
      this.end(task, signal, error);
    }
  }

  private end(task: Stored, signal: AbortSignal, error: unknown): void {
    try {
      if (signal.aborted && signal.reason === CLOSED) {
        task.status = 'queued';
        task.attempts--;
        this.save();
      } else if (signal.aborted) this.finish(task, { status: 'cancelled' });
      else {
        if (!(error instanceof WinnowError)) this.onError(error);
        this.finish(task, { status: 'failed', error: failureOf(error) });
      }
    } catch (unsaved) {
      // The status shows; after a restart the task runs again.
      this.onError(unsaved);
    }
  }

  private finish(task: Stored, outcome: Pick<Task, 'status' | 'result' | 'error'>): void {
    Object.assign(task, outcome, { finishedAt: now() });
    const finished = [...this.tasks.values()].filter(({ finishedAt }) => finishedAt !== undefined);
    for (const { id } of finished.slice(0, -MAX_FINISHED)) this.tasks.delete(id);
    this.save();
  }

  private save(): void {
    if (this.file === undefined) return;
    writeState(this.file, { nextId: this.nextId, tasks: [...this.tasks.values()] });
  }

  private withStatus(status: TaskStatus): Stored[] {
    return [...this.tasks.values()].filter((task) => task.status === status);
  }

  private require(id: string): Stored {
    const task = this.tasks.get(id);
    if (task) return task;
    throw new WinnowError('WINNOW_NOT_FOUND', `no task ${id}`, {
      place: 'id',
      hint: `GET /v1/tasks lists them; only the last ${MAX_FINISHED} that are finished are kept`,
    });
  }

  private shown(task: Stored): Task {
    const { done, total } = task.progress;
    if (this.running?.task !== task || total === undefined || done <= 0) return { ...task };
    const seconds = (performance.now() - this.running.started) / 1000;
    return { ...task, etaSeconds: Math.max(0, (seconds / done) * (total - done)) };
  }
}

const CANCELLED = new WinnowError('WINNOW_TASK_INTERRUPTED', 'the task was cancelled');
const CLOSED = new WinnowError('WINNOW_TASK_INTERRUPTED', 'the service was closed');

const now = (): string => new Date().toISOString();
