import { Readable } from 'node:stream';
import type { SearchService } from '../../../app/service/search-service.ts';
import type { Metadata } from '../../../corpus/types.ts';
import { CollectionPath } from '../../schemas/v1/common.ts';
import {
  DeleteAnswer,
  DeleteBody,
  DocumentPath,
  ExportQuery,
  MetadataPatch,
} from '../../schemas/v1/documents.ts';
import { PassageQuery, StoredDocument } from '../../schemas.ts';
import { documentRef, failures, type TypedApp } from '../route-context.ts';
import { READ, type V1Options } from './context.ts';
import { uploadRoute } from './upload.ts';

const PATH = '/v1/collections/:c/documents';
const tags = ['documents'];

/** Documents: write, read, change metadata, delete, export. */
export async function v1DocumentRoutes(app: TypedApp, options: V1Options): Promise<void> {
  uploadRoute(app, options);
  const { service } = options;
  addDocumentRoutes(app, service);
  app.post(
    `${PATH}/delete`,
    {
      schema: {
        tags,
        summary: 'Delete documents',
        description:
          'Deletes documents with their passages: those with the ids, or all that match the filter.',
        params: CollectionPath,
        body: DeleteBody,
        response: { 200: DeleteAnswer, ...failures },
      },
    },
    async ({ params: { c }, body: { ids, filter } }) => ({
      deleted: ids ? await service.delete(c, ids) : await service.deleteMatching(c, filter!),
    }),
  );
  app.get(
    PATH,
    {
      config: READ,
      schema: {
        tags,
        summary: 'Export all documents',
        description:
          'NDJSON: one document per line with id, title, text and metadata, as it can be added again; passages of long documents are joined. Documents that are written meanwhile may be missing.',
        params: CollectionPath,
        querystring: ExportQuery,
      },
    },
    ({ params }, reply) => {
      service.backend(params.c); // an unknown collection is an error, not a broken stream
      reply.type('application/x-ndjson; charset=utf-8');
      return reply.send(Readable.from(exportLines(service, params.c), { objectMode: false }));
    },
  );
}

function addDocumentRoutes(app: TypedApp, service: SearchService): void {
  const schema = { tags, params: DocumentPath };
  app.get(
    `${PATH}/:id`,
    {
      schema: {
        ...schema,
        summary: 'Get a document',
        description:
          'A document as it was added; of one that was cut into passages, its text put together, or one passage.',
        querystring: PassageQuery,
        response: { 200: StoredDocument, ...failures },
      },
    },
    async ({ params: { c, id }, query }) => service.get(c, documentRef(id, query.passage)),
  );
  app.patch(
    `${PATH}/:id`,
    {
      schema: {
        ...schema,
        summary: 'Change metadata of a document',
        description:
          'Sets and removes metadata of a document and its passages. Texts stay as they are and are not encoded again.',
        body: MetadataPatch,
        response: { 200: StoredDocument, ...failures },
      },
    },
    async ({ params: { c, id }, body }) => service.updateMetadata(c, id, body.metadata as Metadata),
  );
  app.delete(
    `${PATH}/:id`,
    {
      schema: {
        ...schema,
        summary: 'Delete a document',
        description: 'Deletes a document with its passages, or one passage.',
        querystring: PassageQuery,
        response: { 200: DeleteAnswer, ...failures },
      },
    },
    async ({ params: { c, id }, query }) => ({
      deleted: await service.deleteOne(c, documentRef(id, query.passage)),
    }),
  );
}

async function* exportLines(service: SearchService, name: string): AsyncGenerator<string> {
  for await (const { id, title, text, metadata } of service.export(name))
    yield `${JSON.stringify({ id, title, text, metadata })}\n`;
}
