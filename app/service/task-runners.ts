import { isAbsolute, join, sep } from 'node:path';
import { fractionRead, openCorpus } from '../../corpus/open-corpus.ts';
import { type ErrorCode, WinnowError } from '../../errors.ts';
import type { FilterField } from '../../indexer/types.ts';
import type { SearchBackend } from '../../query/backend.ts';
import { badArgument } from '../../query/check-value.ts';
import { ingest } from '../ingest.ts';
import { SnapshotFolder } from '../snapshot-folder.ts';
import { withoutPaths } from '../without-paths.ts';
import type { Collection } from './collection.ts';
import { importPath, realFolder } from './imports.ts';
import type { TaskContext } from './task-queue.ts';
import type { Failure, TaskRequest, TaskType } from './types.ts';

const BATCH_DOCUMENTS = 128;
const BATCH_CHARACTERS = 2_000_000;
/** Rows that are described one by one. */
const MAX_DESCRIBED = 100;

/** Measures a collection with the queries and judgements of a data set. */
export type Evaluator = (
  backend: SearchBackend,
  request: TaskRequest & { readonly path: string },
  context: TaskContext,
) => Promise<Readonly<Record<string, unknown>>>;

export interface TaskSurroundings {
  /** Folder that requests may name files of. */
  readonly imports?: string | undefined;
  /** Folder that snapshots are made in, in one of the collection's name. */
  readonly snapshots?: string | undefined;
  readonly maxSnapshots?: number | undefined;
  readonly evaluate?: Evaluator | undefined;
}

/** Properties of requests by type, besides `type`; those that end with `!` are needed. */
const PROPERTIES: Readonly<Record<TaskType, readonly string[]>> = {
  'index-file': ['path!', 'deleteMissing', 'passages'],
  'index-folder': ['path!', 'deleteMissing', 'passages'],
  evaluate: ['path!', 'split', 'mode', 'rerank', 'depth'],
  snapshot: [],
  compact: [],
};

/**
 * Checks a request before it is queued.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_NOT_FOUND, WINNOW_FORBIDDEN, WINNOW_UNSUPPORTED
 */
export function checkTask(request: TaskRequest, surroundings: TaskSurroundings): void {
  const { type, ...given } = request;
  const known = PROPERTIES[type];
  const names = known.map((name) => name.replace('!', ''));
  for (const name of Object.keys(given))
    if (!names.includes(name))
      throw badArgument(
        name,
        `is not for tasks of type ${type}`,
        `they take: ${names.join(', ') || 'nothing'}`,
      );
  for (const name of known)
    if (name.endsWith('!') && !Object.hasOwn(given, name.slice(0, -1)))
      throw badArgument(name.slice(0, -1), `is needed for tasks of type ${type}`);
  if (request.path !== undefined) importPath(surroundings.imports, request.path, kindOf(type));
  if (type === 'snapshot' && surroundings.snapshots === undefined)
    throw new WinnowError('WINNOW_NOT_FOUND', 'the server was started without a folder for snapshots', {
      place: 'type',
      hint: 'start it with: winnow serve --snapshots DIR',
    });
  if (type === 'evaluate' && !surroundings.evaluate)
    throw new WinnowError('WINNOW_UNSUPPORTED', 'this server evaluates nothing', {
      place: 'type',
      hint: 'use winnow serve or winnow eval',
    });
}

const kindOf = (type: TaskType) =>
  type === 'index-file' ? 'file' : type === 'index-folder' ? 'folder' : 'any';

/** Carries out a checked request. Errors name no path of the machine. @param name of the collection */
export async function runTask(
  name: string,
  collection: Collection,
  request: TaskRequest,
  surroundings: TaskSurroundings,
  context: TaskContext,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await carryOut(name, collection, request, surroundings, context);
  } catch (error) {
    throw error instanceof WinnowError ? forRequester(error, surroundings.imports) : error;
  }
}

/** Files in the folder of imports are named as requests name them. */
function forRequester(error: WinnowError, imports: string | undefined): WinnowError {
  const roots = imports === undefined ? [] : [imports, realFolder(imports)].map((root) => `${root}${sep}`);
  const relative = (text: string) => roots.reduce((shown, root) => shown.replaceAll(root, ''), text);
  const shown = (text: string) => withoutPaths(relative(text), error.place);
  const place = error.place && relative(error.place);
  return new WinnowError(error.code, shown(error.message), {
    ...(place && !isAbsolute(place) ? { place } : {}),
    ...(error.hint ? { hint: shown(error.hint) } : {}),
    cause: error,
  });
}

async function carryOut(
  name: string,
  collection: Collection,
  request: TaskRequest,
  surroundings: TaskSurroundings,
  context: TaskContext,
): Promise<Readonly<Record<string, unknown>>> {
  switch (request.type) {
    case 'index-file':
    case 'index-folder':
      return index(collection, request, surroundings, context);
    case 'evaluate': {
      const path = importPath(surroundings.imports, request.path!, 'any');
      return surroundings.evaluate!(collection.backend, { ...request, path }, context);
    }
    case 'snapshot': {
      context.progress({ done: 0, total: 1, unit: 'steps' });
      const folder = join(surroundings.snapshots!, name);
      const snapshots = new SnapshotFolder(collection.backend, folder, surroundings.maxSnapshots);
      const info = await snapshots.take();
      context.progress({ done: 1, total: 1, unit: 'steps' });
      return { ...info };
    }
    case 'compact':
      context.progress({ done: 0, total: 1, unit: 'steps' });
      return { ...(await compacted(collection, context)) };
  }
}

async function compacted(collection: Collection, { progress, signal }: TaskContext) {
  const report = await collection.compact(signal);
  progress({ done: 1, total: 1, unit: 'steps' });
  return report;
}

async function index(
  collection: Collection,
  request: TaskRequest,
  { imports }: TaskSurroundings,
  { signal, progress }: TaskContext,
): Promise<Readonly<Record<string, unknown>>> {
  const path = importPath(imports, request.path!, kindOf(request.type));
  const { settings } = await collection.stats();
  const corpus = await openCorpus(path, { fieldTypes: fieldTypes(settings?.filterFields ?? []) });
  const errors: Failure[] = [];
  const report = await ingest(corpus, collection.backend, {
    batchSize: BATCH_DOCUMENTS,
    batchCharacters: BATCH_CHARACTERS,
    passages: request.passages ?? true,
    deleteMissing: request.deleteMissing ?? false,
    onBadRow: ({ code, message, place = '' }) => {
      // Places are files of this machine: what is shown is relative to the folder that the request named.
      if (errors.length < MAX_DESCRIBED)
        errors.push({ code, message, place: place.replace(path, request.path!) });
    },
    onProgress: () => {
      const total = corpus.progress.bytesTotal;
      progress({ done: Math.round(fractionRead(corpus) * total), total, unit: 'bytes' });
    },
    stopped: () => signal.aborted,
    turn: (commit) =>
      collection.commits.run(() => {
        signal.throwIfAborted();
        return commit();
      }, true),
  });
  signal.throwIfAborted();
  requireDocuments(report.sources, errors);
  return { ...report, errors };
}

/** An input without any document that can be stored is a failure of the task. */
function requireDocuments(sources: number, [first]: readonly Failure[]): void {
  if (sources > 0 || !first) return;
  const { code, message, place } = first;
  throw new WinnowError(code as ErrorCode, message, place ? { place } : {});
}

/** The type that CSV cells of each declared field are read as: only numbers and booleans are not text. */
function fieldTypes(fields: readonly FilterField[]): Record<string, 'number' | 'boolean' | 'text'> {
  return Object.fromEntries(
    fields.map(({ name, type }) => [name, type === 'number' || type === 'boolean' ? type : 'text']),
  );
}
