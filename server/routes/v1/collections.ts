import type { SearchService } from '../../../app/service/search-service.ts';
import { defined } from '../../../defined.ts';
import { CHECKED_BY_ROUTE, requireUse } from '../../plugins/keys.ts';
import {
  Alias,
  AliasList,
  AliasPath,
  AliasTarget,
  CollectionInfo,
  CollectionList,
  CollectionSettings,
  CollectionStats,
  CreateCollection,
  SwapRequest,
} from '../../schemas/v1/collections.ts';
import { CollectionPath } from '../../schemas/v1/common.ts';
import { failures, type TypedApp } from '../route-context.ts';
import { ADMIN, type V1Options } from './context.ts';

const PATH = '/v1/collections/:c';
const tags = ['collections'];

/** Collections: create, list, settings, statistics, swap, delete. */
export async function collectionRoutes(app: TypedApp, { service }: V1Options): Promise<void> {
  app.get(
    '/v1/collections',
    {
      config: { collection: CHECKED_BY_ROUTE },
      schema: {
        tags,
        summary: 'List collections',
        description: 'By name. One whose index cannot be used has an error and no figures.',
        response: { 200: CollectionList, ...failures },
      },
    },
    async (request) => {
      const collections = await service.list();
      return { collections: collections.filter(({ name }) => request.mayUse(name)) };
    },
  );
  app.post(
    '/v1/collections',
    {
      config: ADMIN,
      schema: {
        tags,
        summary: 'Create a collection',
        description:
          'Fields, model and vectors cannot be changed later: index into a second collection and swap them.',
        body: CreateCollection,
        response: { 201: CollectionInfo, ...failures },
      },
    },
    async ({ body }, reply) => reply.status(201).send(await service.create(defined(body))),
  );
  addCollectionRoutes(app, service);
  addIndexRoutes(app, service);
}

function addCollectionRoutes(app: TypedApp, service: SearchService): void {
  app.get(
    PATH,
    {
      schema: {
        tags,
        summary: 'Describe a collection',
        description: 'By name or alias.',
        params: CollectionPath,
        response: { 200: CollectionInfo, ...failures },
      },
    },
    async ({ params }) => service.info(params.c),
  );
  app.patch(
    PATH,
    {
      config: ADMIN,
      schema: {
        tags,
        summary: 'Change settings of a collection',
        description: 'Settings that are not given stay as they are.',
        params: CollectionPath,
        body: CollectionSettings,
        response: { 200: CollectionInfo, ...failures },
      },
    },
    async ({ params, body }) => service.update(params.c, defined(body)),
  );
  app.delete(
    PATH,
    {
      config: ADMIN,
      schema: {
        tags,
        summary: 'Delete a collection',
        description:
          'Deletes all its documents, its files and its aliases. It is named by its name, not by an alias.',
        params: CollectionPath,
        response: { 204: { type: 'null', description: 'It is gone' }, ...failures },
      },
    },
    async ({ params }, reply) => {
      await service.collections.remove(params.c);
      return reply.status(204).send(null);
    },
  );
}

function addIndexRoutes(app: TypedApp, service: SearchService): void {
  app.get(
    `${PATH}/stats`,
    {
      schema: {
        tags,
        summary: 'Figures of a collection',
        description: 'Counts and sizes of its index.',
        params: CollectionPath,
        response: { 200: CollectionStats, ...failures },
      },
    },
    async ({ params }) => service.stats(params.c),
  );
  app.post(
    `${PATH}/swap`,
    {
      config: ADMIN,
      schema: {
        tags,
        summary: 'Swap two collections',
        description:
          'Exchanges what two names stand for, at once: index into a second collection, then swap. Searches that run go on with what they began with. Aliases keep their names.',
        params: CollectionPath,
        body: SwapRequest,
        response: { 200: CollectionInfo, ...failures },
      },
    },
    async (request) => {
      const { params, body } = request;
      requireUse(request, body.with);
      service.collections.swap(params.c, body.with);
      return service.info(params.c);
    },
  );
}

/** Aliases: other names of collections. */
export async function aliasRoutes(app: TypedApp, { service }: V1Options): Promise<void> {
  app.get(
    '/v1/aliases',
    {
      schema: {
        tags,
        summary: 'List aliases',
        description: 'Other names of collections.',
        response: { 200: AliasList, ...failures },
      },
    },
    async () => ({
      aliases: Object.entries(service.collections.aliases).map(([alias, collection]) => ({
        alias,
        collection,
      })),
    }),
  );
  app.put(
    '/v1/aliases/:alias',
    {
      config: ADMIN,
      schema: {
        tags,
        summary: 'Set an alias',
        description: 'Makes it, or makes it stand for another collection at once.',
        params: AliasPath,
        body: AliasTarget,
        response: { 200: Alias, ...failures },
      },
    },
    async ({ params: { alias }, body }) => {
      service.collections.setAlias(alias, body.collection);
      return { alias, collection: service.collections.resolve(alias) };
    },
  );
  app.delete(
    '/v1/aliases/:alias',
    {
      config: ADMIN,
      schema: {
        tags,
        summary: 'Delete an alias',
        description: 'The collection stays.',
        params: AliasPath,
        response: { 204: { type: 'null', description: 'It is gone' }, ...failures },
      },
    },
    async ({ params }, reply) => {
      service.collections.removeAlias(params.alias);
      return reply.status(204).send(null);
    },
  );
}
