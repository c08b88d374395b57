import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { defined } from '../defined.ts';
import { syncFile } from '../durable-files.ts';
import { WinnowError } from '../errors.ts';
import { installIndexFile } from '../indexer/admin/restore.ts';
import { IndexStore } from '../indexer/index-store.ts';
import { INDEX_FILE, PARTIAL, requireFolder } from '../indexer/store/files.ts';
import { checkLmdbFile } from '../indexer/store/lmdb-check.ts';
import { lockForWriting } from '../indexer/store/writer-lock.ts';
import type { SourceDocument } from '../indexer/types.ts';
import type { EmbeddedBackend } from '../query/embedded/embedded-backend.ts';
import { type OpenOptions, openEmbedded } from '../query/embedded/open-embedded.ts';

export interface ReencodeOptions extends Pick<OpenOptions, 'backend' | 'threads'> {
  /** Bundled model or model folder that the index shall have. */
  readonly model: string;
  /** Documents (passages) per commit, 1..10,000. Default 256. */
  readonly batchSize?: number;
  /** Aborted: ends after the current batch. What was encoded is kept for the next call. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: {
    readonly done: number;
    readonly sources: number;
    readonly encoded: number;
  }) => void;
}

export interface ReencodeReport {
  readonly modelBefore: string;
  readonly modelAfter: string;
  /** Documents (passages) of the index. */
  readonly documents: number;
  /** Documents that this call encoded. */
  readonly encoded: number;
  /** Sources that an earlier call had encoded. */
  readonly unchanged: number;
  /** Documents that are longer than the new model reads: what is beyond its window is found by its words only. */
  readonly cut: number;
  /** False where the index had the model already. */
  readonly replaced: boolean;
}

/**
 * Encodes the documents of an index with another model. The old index answers, and may be written to, until the new one is whole; then
 * writes wait a moment, what changed meanwhile is encoded, and the new file takes the place of the old one in one rename.
 *
 * A call that was aborted or killed leaves the index as it was; the next one goes on where it ended. Texts come from the index:
 * passages stay as they were cut.
 *
 * @throws the signal's reason when it is aborted; WinnowError WINNOW_INDEX_IN_USE when another process writes to the index or has it open
 *   in the end (what was encoded is kept), WINNOW_INDEX_NOT_FOUND, WINNOW_MODEL_NOT_FOUND, WINNOW_STORAGE
 */
export async function reencodeIndex(folder: string, options: ReencodeOptions): Promise<ReencodeReport> {
  requireFolder(folder);
  const old = IndexStore.open(folder, { readOnly: true });
  try {
    return await new Reencoding(folder, old, options).run();
  } finally {
    await old.close();
  }
}

class Reencoding {
  private readonly folder: string;
  private readonly partial: string;
  private readonly old: IndexStore;
  private readonly options: ReencodeOptions;
  private encoded = 0;
  private unchanged = 0;
  private cut = 0;

  constructor(folder: string, old: IndexStore, options: ReencodeOptions) {
    this.folder = folder;
    this.partial = join(folder, `reencode${PARTIAL}`);
    this.old = old;
    this.options = options;
  }

  async run(): Promise<ReencodeReport> {
    const next = this.openNext();
    let unlock: (() => void) | undefined;
    let generation: number | undefined;
    try {
      const replaced = next.modelHash !== this.old.settings.modelHash;
      if (replaced) {
        await this.copy(next);
        // From here on nothing else may write; what was written while the documents were encoded is encoded, too.
        unlock = lockForWriting(this.folder);
        generation = await this.catchUp(next);
        await next.finishMerges();
      }
      const report = this.report(next, replaced);
      await next.close();
      if (generation !== undefined) await this.install(generation);
      rmSync(this.partial, { recursive: true, force: true });
      return report;
    } finally {
      await next.close();
      unlock?.();
    }
  }

  private report(next: EmbeddedBackend, replaced: boolean): ReencodeReport {
    const { encoded, unchanged, cut } = this;
    const { model: modelAfter, documents } = next.stats();
    return {
      modelBefore: this.old.settings.modelName,
      modelAfter,
      documents: replaced ? documents : this.old.stats().documents,
      encoded,
      unchanged,
      cut,
      replaced,
    };
  }

  /** Copies until nothing is new; this process may have other writers of the index. @returns the generation that was copied */
  private async catchUp(next: EmbeddedBackend): Promise<number> {
    const before = this.unchanged;
    for (;;) {
      const { generation } = this.old.newestView().manifest;
      await this.copy(next);
      this.unchanged = before;
      await setImmediate();
      if (this.old.newestView().manifest.generation === generation) return generation;
    }
  }

  private async install(generation: number): Promise<void> {
    const file = join(this.partial, INDEX_FILE);
    checkLmdbFile(file, { deep: true });
    syncFile(file);
    await this.old.close();
    await installIndexFile(this.folder, file, generation);
  }

  /** What an earlier call has encoded with the same model, or an empty index. */
  private openNext(): EmbeddedBackend {
    const { model, backend, threads } = this.options;
    const { filterFields } = this.old.settings;
    const open = (): EmbeddedBackend =>
      openEmbedded(this.partial, { create: true, model, filterFields, ...defined({ backend, threads }) });
    try {
      return open();
    } catch (error) {
      const isOther = error instanceof WinnowError && error.code === 'WINNOW_INDEX_MISMATCH';
      if (!isOther) throw error;
      rmSync(this.partial, { recursive: true, force: true });
      return open();
    }
  }

  /** Makes the new index hold the sources of the old one as they are now. */
  private async copy(next: EmbeddedBackend): Promise<void> {
    const { batchSize = 256, signal, onProgress } = this.options;
    const ids = [...this.old.sourceIds()];
    let batch: SourceDocument[] = [];
    let size = 0;
    const flush = async (): Promise<void> => {
      if (batch.length === 0) return;
      signal?.throwIfAborted();
      await next.write({ upserts: batch });
      this.encoded += size;
      batch = [];
      size = 0;
    };
    for (let at = 0; at < ids.length; at += batchSize) {
      signal?.throwIfAborted();
      for (const source of this.changedOf(next, ids.slice(at, at + batchSize))) {
        batch.push(source);
        size += source.documents.length;
        if (size >= batchSize) await flush();
      }
      onProgress?.({
        done: Math.min(ids.length, at + batchSize),
        sources: ids.length,
        encoded: this.encoded,
      });
    }
    await flush();
    const kept = new Set(ids);
    const gone = [...next.sourceIds()].filter((id) => !kept.has(id));
    if (gone.length > 0) await next.write({ deletes: gone });
  }

  /** Those of the sources that the new index lacks or has otherwise. */
  private *changedOf(next: EmbeddedBackend, ids: readonly string[]): Generator<SourceDocument> {
    const wanted = this.old.contentHashes(ids);
    const stored = next.contentHashes(ids);
    for (const id of ids) {
      // A source that is not whole has no hash: it gets one that no document has, so that the next run of `winnow index` brings it back.
      const contentHash = wanted.get(id) ?? `partial ${this.old.view().manifest.generation}`;
      if (stored.get(id) === contentHash) {
        this.unchanged++;
        continue;
      }
      const documents = this.old.view().documentsOf({ id });
      if (documents.length === 0) continue;
      const { countTokens, maxTokens } = next.window;
      this.cut += documents.filter(({ title, text }) => countTokens(`${title} ${text}`) > maxTokens).length;
      yield { id, contentHash, documents };
    }
  }
}
