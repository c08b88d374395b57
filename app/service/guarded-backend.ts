import type { Metadata } from '../../corpus/types.ts';
import { WinnowError } from '../../errors.ts';
import type { SnapshotInfo } from '../../indexer/admin/snapshot.ts';
import type { DocumentRef } from '../../indexer/format/stored-id.ts';
import type { StoredRecord, StoredSource } from '../../indexer/store/records.ts';
import type {
  Awaitable,
  BackendCapabilities,
  BackendHealth,
  BackendStats,
  EncodedText,
  EncodeKind,
  SearchBackend,
  SearchSize,
  TextWindow,
  WriteBatch,
  WriteReport,
} from '../../query/backend.ts';
import type { ExplainRequest, Filter, SearchRequest } from '../../query/request.ts';
import type { Explanation, SearchResponse } from '../../query/response.ts';
import { requireSnapshots } from '../search-index.ts';
import type { Gate } from './gate.ts';

/** A backend behind a {@link Gate}: the same for its users, whichever is open at the moment. */
export class GuardedBackend implements SearchBackend {
  private readonly gate: Gate<SearchBackend>;

  constructor(gate: Gate<SearchBackend>) {
    this.gate = gate;
  }

  get capabilities(): BackendCapabilities {
    return this.gate.backend.capabilities;
  }

  get window(): TextWindow {
    return this.gate.backend.window;
  }

  search(request: SearchRequest, signal?: AbortSignal): Awaitable<SearchResponse> {
    return this.gate.read((backend) => backend.search(request, signal));
  }

  explain(request: ExplainRequest, signal?: AbortSignal): Awaitable<Explanation> {
    return this.gate.read((backend) => backend.explain(request, signal));
  }

  get(document: DocumentRef): Awaitable<StoredRecord | StoredSource | undefined> {
    return this.gate.read((backend) => backend.get(document));
  }

  contentHashes(ids: readonly string[]): Awaitable<ReadonlyMap<string, string>> {
    return this.gate.read((backend) => backend.contentHashes(ids));
  }

  sourceIds(): Iterable<string> | AsyncIterable<string> {
    return this.gate.backend.sourceIds();
  }

  write(batch: WriteBatch): Promise<WriteReport> {
    return this.gate.write((backend) => backend.write(batch));
  }

  updateMetadata(id: string, changes: Metadata): Promise<boolean> {
    return this.gate.write((backend) => required(backend, 'updateMetadata')(id, changes));
  }

  sourcesMatching(filter: Filter): Awaitable<readonly string[]> {
    return this.gate.read((backend) => required(backend, 'sourcesMatching')(filter));
  }

  async encode(
    texts: readonly string[],
    kind: EncodeKind,
    signal?: AbortSignal,
  ): Promise<readonly EncodedText[]> {
    return this.gate.read((backend) => required(backend, 'encode')(texts, kind, signal));
  }

  health(): Awaitable<BackendHealth> {
    return this.gate.read((backend) => backend.health());
  }

  stats(): Awaitable<BackendStats> {
    return this.gate.read((backend) => backend.stats());
  }

  searchSize(query: string): Awaitable<SearchSize> {
    return this.gate.read((backend) => backend.searchSize(query));
  }

  async takeSnapshot(folder: string): Promise<SnapshotInfo> {
    return this.gate.read((backend) => requireSnapshots(backend).takeSnapshot(folder));
  }

  close(): Promise<void> {
    return this.gate.close();
  }
}

/** @throws WinnowError WINNOW_UNSUPPORTED */
function required<Name extends 'updateMetadata' | 'sourcesMatching' | 'encode'>(
  backend: SearchBackend,
  name: Name,
): NonNullable<SearchBackend[Name]> {
  const method = backend[name];
  if (method) return method.bind(backend) as NonNullable<SearchBackend[Name]>;
  throw new WinnowError('WINNOW_UNSUPPORTED', `the backend of this collection has no ${name}`, {
    place: name,
  });
}
