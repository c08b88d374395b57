import type { Task, TaskStatus } from '../app/service/types.ts';
import { type CallOptions, path, pause, type Transport } from './transport.ts';

export interface WaitOptions extends CallOptions {
  /** Called with the task each time that it is looked at. */
  readonly onProgress?: (task: Task) => void;
  /** Milliseconds between two looks; default 500. */
  readonly intervalMs?: number;
}

const INTERVAL_MS = 500;
const UNFINISHED: readonly TaskStatus[] = ['queued', 'running'];

/** Long work of a server. */
export class TasksClient {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** Newest first. */
  async list(
    only: { readonly collection?: string; readonly status?: TaskStatus } = {},
    options?: CallOptions,
  ): Promise<readonly Task[]> {
    const call = { method: 'GET', path: '/tasks', query: { ...only } } as const;
    return (await this.transport.json<{ tasks: readonly Task[] }>(call, options)).tasks;
  }

  get(id: string, options?: CallOptions): Promise<Task> {
    return this.transport.json({ method: 'GET', path: path`/tasks/${id}` }, options);
  }

  /** Cancels a task that waits or runs; what it has done stays. */
  cancel(id: string, options?: CallOptions): Promise<Task> {
    return this.transport.json({ method: 'DELETE', path: path`/tasks/${id}` }, options);
  }

  /** Waits for the end of a task, whatever it is: look at its `status` and `error`. A signal ends the waiting, not the task. */
  async wait(
    id: string,
    { onProgress, intervalMs = INTERVAL_MS, ...options }: WaitOptions = {},
  ): Promise<Task> {
    for (;;) {
      const task = await this.get(id, options);
      onProgress?.(task);
      if (!UNFINISHED.includes(task.status)) return task;
      await pause(intervalMs, options.signal);
    }
  }
}
