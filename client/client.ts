import type { CollectionInfo, NewCollection, SearchQuery } from '../app/service/types.ts';
import { CollectionClient } from './collection.ts';
import { TasksClient } from './tasks.ts';
import { type CallOptions, type ClientOptions, path, Transport } from './transport.ts';
import type { AliasInfo, MultiSearchResult } from './types.ts';

/**
 * A client of `winnow serve`, for Node and browsers. It holds no connection and needs no closing. All calls reject with
 * WinnowClientError, or with the reason of their signal.
 */
export class WinnowClient {
  /** Long work. */
  readonly tasks: TasksClient;
  private readonly transport: Transport;

  /** @param url address of the server, such as `http://localhost:7700` @throws TypeError for what is no URL */
  constructor(url: string, options: ClientOptions = {}) {
    this.transport = new Transport(url, options);
    this.tasks = new TasksClient(this.transport);
  }

  /** A collection by name or alias; asks the server nothing. */
  collection(name: string): CollectionClient {
    return new CollectionClient(this.transport, name);
  }

  /** By name; those that the key covers. */
  async listCollections(options?: CallOptions): Promise<readonly CollectionInfo[]> {
    const call = { method: 'GET', path: '/collections' } as const;
    return (await this.transport.json<{ collections: readonly CollectionInfo[] }>(call, options)).collections;
  }

  createCollection(collection: NewCollection, options?: CallOptions): Promise<CollectionInfo> {
    return this.transport.json({ method: 'POST', path: '/collections', json: collection }, options);
  }

  /** Several searches, 1..32, answered in their order. One that fails has an error and does not end the others. */
  async multiSearch(
    searches: readonly (SearchQuery & { readonly collection: string })[],
    options?: CallOptions,
  ): Promise<readonly MultiSearchResult[]> {
    const call = { method: 'POST', path: '/multi-search', json: { searches }, isRead: true } as const;
    return (await this.transport.json<{ results: readonly MultiSearchResult[] }>(call, options)).results;
  }

  async listAliases(options?: CallOptions): Promise<readonly AliasInfo[]> {
    const call = { method: 'GET', path: '/aliases' } as const;
    return (await this.transport.json<{ aliases: readonly AliasInfo[] }>(call, options)).aliases;
  }

  /** Makes an alias, or makes it stand for another collection at once. */
  setAlias(alias: string, collection: string, options?: CallOptions): Promise<AliasInfo> {
    return this.transport.json(
      { method: 'PUT', path: path`/aliases/${alias}`, json: { collection } },
      options,
    );
  }

  /** The collection stays. */
  async deleteAlias(alias: string, options?: CallOptions): Promise<void> {
    await this.transport.json({ method: 'DELETE', path: path`/aliases/${alias}` }, options);
  }
}
