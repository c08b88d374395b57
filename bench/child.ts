import { type ChildProcess, spawn } from 'node:child_process';
import { getPriority, setPriority } from 'node:os';

/**
 * Runs a module of bench/ in a process of its own: its threads, caches and memory are its own, too. The module finds the task as
 * JSON in its first argument when {@link isChild} holds, and writes its outcome to standard output as JSON.
 *
 * @param label names the task when the process fails
 */
export function runChild<Outcome>(
  modulePath: string,
  task: object,
  label: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawnChild(modulePath, task, env, 'pipe');
    let output = '';
    child.stdout!.on('data', (chunk) => {
      output += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(output) as Outcome);
      else reject(new Error(`${label} exited with code ${code}`));
    });
  });
}

/** A module of bench/ in a process that stays and does its work whenever it is called; see {@link answerCalls}. */
export class Worker<Outcome> {
  readonly #child: ChildProcess;
  readonly #label: string;
  readonly #ready: Promise<unknown>;

  private constructor(child: ChildProcess, label: string) {
    this.#child = child;
    this.#label = label;
    this.#ready = this.#nextMessage();
  }

  static start<Outcome>(modulePath: string, task: object, label: string): Worker<Outcome> {
    return new Worker<Outcome>(spawnChild(modulePath, task, {}, 'ipc'), label);
  }

  /** One call at a time. @param request what the answer is given @throws Error when the process ends instead of answering */
  async call(request: object = {}): Promise<Outcome> {
    await this.#ready;
    const outcome = this.#nextMessage();
    this.#child.send(request);
    return (await outcome) as Outcome;
  }

  #nextMessage(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) => reject(new Error(`${this.#label} exited with code ${code}`));
      this.#child.once('exit', ended);
      this.#child.once('message', (message) => {
        this.#child.off('exit', ended);
        resolve(message);
      });
    });
  }

  end(): void {
    this.#child.kill();
  }
}

/** Answers the calls of the {@link Worker} that started this process until it ends it. */
export function answerCalls<Request>(answer: (request: Request) => Promise<object>): void {
  process.on('message', async (request) => process.send!(await answer(request as Request)));
  process.send!('ready');
}

function spawnChild(
  modulePath: string,
  task: object,
  env: NodeJS.ProcessEnv,
  channel: 'pipe' | 'ipc',
): ChildProcess {
  return spawn(process.execPath, [...process.execArgv, modulePath, JSON.stringify(task)], {
    stdio: channel === 'ipc' ? ['ignore', 'ignore', 'inherit', 'ipc'] : ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env, WINNOW_BENCH_CHILD: '1' },
  });
}

/**
 * Gives this process and the threads that it starts the priority of Winnow's encoding threads, which give way to searches: beside
 * other load a peer would otherwise get three times the share of a core. To be called before the peer is loaded.
 */
export const yieldAsEncodingThreads = (): void => setPriority(Math.min(19, getPriority() + 5));

/** Whether {@link runChild} or a {@link Worker} started this process to run that module. */
export const isChild = (modulePath: string): boolean =>
  process.env.WINNOW_BENCH_CHILD === '1' && process.argv[1] === modulePath;

/** The task that it was started with. */
export const childTask = <Task>(): Task => JSON.parse(process.argv[2]!) as Task;
