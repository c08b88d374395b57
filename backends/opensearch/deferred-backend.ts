import { setTimeout as sleep } from 'node:timers/promises';
import type { MetadataValue } from '../../corpus/types.ts';
import { openModel } from '../../encoder/model.ts';
import { WinnowError } from '../../errors.ts';
import type { DocumentRef } from '../../indexer/format/stored-id.ts';
import type { StoredRecord, StoredSource } from '../../indexer/store/records.ts';
import type {
  BackendCapabilities,
  BackendHealth,
  EncodedText,
  EncodeKind,
  SearchBackend,
  SearchSize,
  TextWindow,
  WriteBatch,
  WriteReport,
} from '../../query/backend.ts';
import { textWindow } from '../../query/embedded/text-window.ts';
import type { ExplainRequest, Filter, SearchRequest } from '../../query/request.ts';
import type { Explanation, SearchResponse } from '../../query/response.ts';
import type { OpenSearchBackend } from './opensearch-backend.ts';

/** How long a look at the health waits for a cluster that was not reached yet. */
const HEALTH_WAIT_MS = 2000;

/**
 * An index of a cluster for a server that lives longer than a connection: it is opened by the first call that needs it and, where that
 * failed, by the next one. So a server may start before its cluster. When the alias that it names stands for an index with other
 * settings, it is opened again.
 */
export class DeferredBackend implements SearchBackend {
  private readonly open: () => Promise<OpenSearchBackend>;
  private readonly expectedWindow: TextWindow;
  private opening: Promise<OpenSearchBackend> | undefined;
  private opened: OpenSearchBackend | undefined;
  private closing: Promise<void> | undefined;

  /** @param model name of the one that the index is expected to have, for cutting texts before it is open; default the bundled one */
  constructor(open: () => Promise<OpenSearchBackend>, model?: string) {
    this.open = open;
    this.expectedWindow = textWindow(openModel(model));
  }

  get capabilities(): BackendCapabilities {
    return this.opened?.capabilities ?? { snapshots: false, rerank: [] };
  }

  get window(): TextWindow {
    return this.opened?.window ?? this.expectedWindow;
  }

  /** Opens the index now. @throws WinnowError of `openOpenSearch`, WINNOW_INDEX_CLOSED */
  async ready(): Promise<void> {
    await this.backend();
  }

  async search(request: SearchRequest, signal?: AbortSignal): Promise<SearchResponse> {
    return this.use((backend) => backend.search(request, signal));
  }

  async explain(request: ExplainRequest): Promise<Explanation> {
    return this.use((backend) => backend.explain(request));
  }

  async get(document: DocumentRef): Promise<StoredRecord | StoredSource | undefined> {
    return this.use((backend) => backend.get(document));
  }

  async contentHashes(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return this.use((backend) => backend.contentHashes(ids));
  }

  async *sourceIds(): AsyncGenerator<string> {
    yield* (await this.backend()).sourceIds();
  }

  async write(batch: WriteBatch): Promise<WriteReport> {
    return this.use((backend) => backend.write(batch));
  }

  async updateMetadata(id: string, changes: Readonly<Record<string, MetadataValue>>): Promise<boolean> {
    return this.use((backend) => backend.updateMetadata(id, changes));
  }

  async sourcesMatching(filter: Filter): Promise<readonly string[]> {
    return this.use((backend) => backend.sourcesMatching(filter));
  }

  async encode(texts: readonly string[], kind: EncodeKind): Promise<readonly EncodedText[]> {
    return this.use((backend) => backend.encode(texts, kind));
  }

  /** @throws WinnowError WINNOW_UNHEALTHY, also while the cluster was not reached yet; then it is being tried */
  async health(): Promise<BackendHealth> {
    const opening = this.backend();
    const backend = await Promise.race([
      opening.catch((cause) => {
        throw notReached(cause);
      }),
      sleep(HEALTH_WAIT_MS, undefined, { ref: false }),
    ]);
    if (!backend) throw notReached();
    return backend.health();
  }

  async stats(): ReturnType<OpenSearchBackend['stats']> {
    return this.use((backend) => backend.stats());
  }

  searchSize(query: string): SearchSize {
    return { queryTokens: this.window.countTokens(query), documents: 0 };
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async use<T>(action: (backend: OpenSearchBackend) => Promise<T>): Promise<T> {
    const backend = await this.backend();
    try {
      return await action(backend);
    } catch (error) {
      const { code } = error as Partial<WinnowError>;
      // The second: another call has found the alias moved, and closed what this one was using.
      const isOther = code === 'WINNOW_INDEX_MISMATCH' || (code === 'WINNOW_INDEX_CLOSED' && !this.closing);
      if (!isOther) throw error;
      if (this.opened === backend) {
        this.opened = undefined;
        this.opening = undefined;
        void backend.close();
      }
      return action(await this.backend());
    }
  }

  private backend(): Promise<OpenSearchBackend> {
    if (this.closing)
      return Promise.reject(new WinnowError('WINNOW_INDEX_CLOSED', 'the index was closed before the call'));
    this.opening ??= this.openNow();
    return this.opening;
  }

  private async openNow(): Promise<OpenSearchBackend> {
    try {
      this.opened = await this.open();
      return this.opened;
    } catch (error) {
      this.opening = undefined;
      throw error;
    }
  }

  private async closeAll(): Promise<void> {
    const backend = await this.opening?.catch(() => undefined);
    await backend?.close();
  }
}

const notReached = (cause?: WinnowError): WinnowError =>
  new WinnowError('WINNOW_UNHEALTHY', cause?.message ?? 'the cluster was not reached yet', {
    hint: 'look at the cluster: GET /_cluster/health',
    cause,
  });
