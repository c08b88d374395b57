import { stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { fileKind, walkFolder } from '../corpus/folder.ts';
import { type CorpusFormat, type CorpusOptions, openCorpus, readFolderFiles } from '../corpus/open-corpus.ts';
import { WinnowError } from '../errors.ts';
import type { SearchBackend } from '../query/backend.ts';
import { type IngestOptions, type IngestReport, ingest } from './ingest.ts';

export interface WatchOptions
  extends Pick<IngestOptions, 'batchSize' | 'passages' | 'onBadRow' | 'onProgress'> {
  readonly corpus: CorpusOptions;
  /** Time in ms for which a file must keep its size before it is read, so that half-written files are not. 10.. */
  readonly settleMs: number;
  /** Time in ms between readings of everything, for what the file system did not report. 1,000.. */
  readonly rescanMs: number;
  /** Called after each update that changed the index, and after the first one. */
  readonly onUpdate: (update: WatchUpdate) => void;
  /** Called when an update failed. The next change, or the next reading of everything, tries it again. */
  readonly onError: (error: WinnowError) => void;
}

export interface WatchUpdate
  extends Pick<IngestReport, 'added' | 'replaced' | 'deleted' | 'kept' | 'badRows'> {
  /** Whether everything was read, and not only the files that changed. */
  readonly whole: boolean;
}

/**
 * Keeps an index in step with a file or folder until {@link close}. It reads everything once, and then the files that change.
 * The index belongs to the folder: documents that the folder does not have are deleted, except what an unreadable row, file or folder
 * may hide. Nothing is deleted while the folder is missing or empty, because it may be a disk that is not there.
 *
 * Changes that come while an update runs are collected for the next one. One watcher per index and process.
 */
export class FolderWatcher {
  private readonly path: string;
  private readonly backend: SearchBackend;
  private readonly options: WatchOptions;
  /** Changed files relative to the folder, with `/`. Whether they were written or deleted is seen when they are read. */
  private changed = new Set<string>();
  private mustReadAll = false;
  private isFirst = true;
  private closed = false;
  private running: Promise<void> | undefined;
  private format: CorpusFormat | undefined;
  private events: FSWatcher | undefined;
  private rescan: NodeJS.Timeout | undefined;

  constructor(path: string, backend: SearchBackend, options: WatchOptions) {
    this.path = path;
    this.backend = backend;
    this.options = options;
  }

  /**
   * Resolves when the index is in step for the first time.
   *
   * @throws WinnowError WINNOW_NOT_FOUND, WINNOW_UNKNOWN_FORMAT, WINNOW_INDEX_MISMATCH when the index holds documents and none of
   *   them is in the folder, WINNOW_BAD_ARGUMENT
   */
  async start(): Promise<void> {
    this.format = (await openCorpus(this.path, this.options.corpus)).format;
    // Before the first reading, so that no change between the two is missed.
    await this.watch();
    await this.readAll();
    this.isFirst = false;
    this.rescan = setInterval(() => this.request(), this.options.rescanMs);
    if (this.changed.size > 0 || this.mustReadAll) this.update();
  }

  /** Ends after the running batch is stored. Never rejects. */
  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.rescan);
    await this.events?.close();
    await this.running;
  }

  private async watch(): Promise<void> {
    const { settleMs, corpus } = this.options;
    const events = watch(this.path, {
      ignoreInitial: true,
      followSymlinks: corpus.followLinks ?? false,
      awaitWriteFinish: { stabilityThreshold: settleMs, pollInterval: Math.max(10, Math.ceil(settleMs / 5)) },
      ignored: (path, stats) => this.isIgnored(path, stats?.isFile() ?? false),
    });
    this.events = events;
    events.on('all', (event, path) => {
      if (event !== 'addDir' && event !== 'unlinkDir') this.request(path);
    });
    events.on('error', (cause) => this.options.onError(watchFailure(cause as Error, this.path)));
    await new Promise<void>((resolve) => events.once('ready', resolve));
  }

  /** The same files as {@link walkFolder} leaves out: hidden ones, node_modules, and kinds that are not read. */
  private isIgnored(path: string, isFile: boolean): boolean {
    if (path === this.path) return false;
    const names = relative(this.path, path).split(sep);
    if (names.some((name) => name.startsWith('.') || name === 'node_modules')) return true;
    return isFile && fileKind(path) === undefined;
  }

  /** Notes a change, and updates unless an update runs. @param path the file; absent: everything is to be read */
  private request(path?: string): void {
    const isText = path !== undefined && this.format === 'text-folder' && fileKind(path) === 'text';
    if (isText) this.changed.add(relative(this.path, path).split(sep).join('/'));
    // The documents of a table are known only by reading all of it.
    else this.mustReadAll = true;
    if (!this.isFirst) this.update();
  }

  private update(): void {
    this.running ??= this.work().finally(() => {
      this.running = undefined;
    });
  }

  private async work(): Promise<void> {
    while (!this.closed && (this.mustReadAll || this.changed.size > 0)) {
      const changed = [...this.changed].sort();
      const whole = this.mustReadAll;
      this.changed = new Set();
      this.mustReadAll = false;
      try {
        await (whole ? this.readAll() : this.readChanged(changed));
      } catch (error) {
        // Only the next reading of everything can know what this one missed.
        this.options.onError(error instanceof WinnowError ? error : watchFailure(error as Error, this.path));
        return;
      }
    }
  }

  private async readAll(): Promise<void> {
    const corpus = await openCorpus(this.path, this.options.corpus);
    const { added, replaced, deleted, kept, badRows } = await ingest(corpus, this.backend, {
      ...this.ingestOptions(),
      deleteMissing: ({ missing, stored }) => {
        if (!this.isFirst || missing === 0 || missing < stored) return true;
        throw new WinnowError(
          'WINNOW_INDEX_MISMATCH',
          `the index holds ${stored} documents, and none of them is in the folder: watching it would delete them all`,
          { place: this.path, hint: 'give the folder an index of its own' },
        );
      },
    });
    const hasChanged = added + replaced + deleted > 0;
    if (hasChanged || this.isFirst)
      this.options.onUpdate({ added, replaced, deleted, kept, badRows, whole: true });
  }

  private async readChanged(paths: readonly string[]): Promise<void> {
    const written: string[] = [];
    const gone: string[] = [];
    for (const path of paths) ((await isFile(join(this.path, path))) ? written : gone).push(path);
    const rows = readFolderFiles(this.path, written, this.options.corpus);
    const report = await ingest(rows, this.backend, { ...this.ingestOptions(), deleteMissing: false });
    const mayDelete = gone.length === 0 || (await this.hasFiles());
    const deleted = mayDelete ? (await this.backend.write({ deletes: gone })).deleted : 0;
    const { added, replaced, badRows } = report;
    const kept = mayDelete ? 0 : gone.length;
    if (added + replaced + deleted + kept + badRows > 0)
      this.options.onUpdate({ added, replaced, deleted, kept, badRows, whole: false });
  }

  private ingestOptions(): Omit<IngestOptions, 'deleteMissing'> {
    const { batchSize, passages, onBadRow, onProgress } = this.options;
    return { batchSize, passages, onBadRow, onProgress, stopped: () => this.closed };
  }

  private async hasFiles(): Promise<boolean> {
    try {
      for await (const entry of walkFolder(this.path)) if (!('error' in entry)) return true;
    } catch {
      // The folder itself is gone.
    }
    return false;
  }
}

/** False only when the file is surely gone: of one that cannot be seen, reading reports why. */
async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    return !['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}

function watchFailure(cause: Error, place: string): WinnowError {
  const isLimit = (cause as NodeJS.ErrnoException).code === 'ENOSPC';
  return new WinnowError('WINNOW_STORAGE', `the folder cannot be watched: ${cause.message}`, {
    place,
    hint: isLimit
      ? 'raise fs.inotify.max_user_watches; until then only the regular readings of everything see changes'
      : 'the next reading of everything tries again',
    cause,
  });
}
