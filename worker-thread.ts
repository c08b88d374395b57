import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { defined } from './defined.ts';
import { type ErrorCode, WinnowError } from './errors.ts';
import { packageRoot } from './package-root.ts';

/**
 * Starts a thread of this package.
 *
 * @param entry path inside the project without its ending, such as `indexer/merge/merge-worker`
 * @param workerData cloned into the thread; SharedArrayBuffers are shared
 */
export function startThread(entry: string, workerData: unknown): Worker {
  // Found by the package and not beside this file, which a bundler may have moved.
  if (!import.meta.url.endsWith('.ts'))
    return new Worker(join(packageRoot, 'dist', `${entry}.js`), { workerData });
  // From source the thread needs tsx too; flags such as --import do not reach it on every Node version.
  const source = pathToFileURL(join(packageRoot, `${entry}.ts`)).href;
  // A script given as text has no place of its own: bare names would be looked up from the current folder.
  const tsx = import.meta.resolve('tsx/esm/api');
  const boot = `import('${tsx}').then(({ register }) => { register(); return import('${source}'); });`;
  return new Worker(boot, { eval: true, workerData, execArgv: [] });
}

/** A WinnowError as it crosses threads, which keep neither its class nor its fields. */
export interface ThreadError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly place?: string;
  readonly hint?: string;
}

/** @param code of an error that is no WinnowError */
export function packThreadError(error: unknown, code: ErrorCode): ThreadError {
  if (!(error instanceof WinnowError)) return { code, message: `a thread failed: ${String(error)}` };
  const { message, place, hint } = error;
  return { code: error.code, message, ...defined({ place, hint }) };
}

export function unpackThreadError({ code, message, place, hint }: ThreadError): WinnowError {
  return new WinnowError(code, message, defined({ place, hint }));
}
