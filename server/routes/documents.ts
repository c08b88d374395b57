import type { Readable } from 'node:stream';
import { busy } from '../../app/lane.ts';
import { WinnowError } from '../../errors.ts';
import type { PassageRef } from '../../indexer/format/stored-id.ts';
import type { SearchBackend } from '../../query/backend.ts';
import { LIMITS } from '../limits.ts';
import { openLane } from '../open-lane.ts';
import { isNdjson } from '../plugins/bodies.ts';
import { mediaType } from '../plugins/errors.ts';
import { AddResponse, DeleteResponse, DocumentId, PassageQuery, StoredDocument } from '../schemas.ts';
import { addDocuments } from '../upload.ts';
import { documentRef, failures, goneClient, type TypedApp } from './route-context.ts';

export interface DocumentRouteOptions {
  readonly backend: SearchBackend;
  /** Time in ms within which an upload must bring 1 KB more, or end. */
  readonly bodyIdleMs: number;
}

/** `POST /documents` (NDJSON), and `GET` and `DELETE /documents/:id`. */
export async function documentRoutes(app: TypedApp, options: DocumentRouteOptions): Promise<void> {
  addUploadRoute(app, options);
  const { backend } = options;
  const schema = { params: DocumentId, querystring: PassageQuery };

  app.get(
    '/documents/:id',
    {
      config: { collection: 'default' },
      schema: {
        ...schema,
        summary: 'Get a document',
        description:
          'A document as it was added; of one that was cut into passages, its text put together, or one passage.',
        response: { 200: StoredDocument, ...failures },
      },
    },
    async ({ params, query }) => {
      const ref = documentRef(params.id, query.passage);
      const record = await backend.get(ref);
      if (!record) throw noDocument(ref);
      return record;
    },
  );

  app.delete(
    '/documents/:id',
    {
      config: { collection: 'default' },
      schema: {
        ...schema,
        summary: 'Delete a document',
        description:
          'Deletes a document with its passages, or one passage. It is gone from searches when the answer comes.',
        response: { 200: DeleteResponse, ...failures },
      },
    },
    // A write of deletes only does not wait for the batches of uploads.
    async ({ params, query }) => {
      const ref = documentRef(params.id, query.passage);
      const { deleted } = await backend.write({ deletes: [ref] });
      if (deleted === 0) throw noDocument(ref);
      return { deleted };
    },
  );
}

/** Bodies are read side by side, each with one batch in memory. Their batches are encoded and committed one after another. */
function addUploadRoute(app: TypedApp, { backend, bodyIdleMs: idleMs }: DocumentRouteOptions): void {
  const commits = openLane(app, 'batches', LIMITS.uploads);
  let uploads = 0;
  app.post(
    '/documents',
    {
      config: { collection: 'default' },
      schema: {
        summary: 'Add documents',
        description:
          'NDJSON (content type application/x-ndjson), one {id, text, title?, ...metadata} per line, also with content-encoding: gzip. Unchanged documents are skipped, of rows with one id the last wins, and bad rows are reported beside the others. What is counted is stored durably when the answer comes.',
        response: { 200: AddResponse, ...failures },
      },
      onRequest: async ({ headers }) => {
        const type = headers['content-type'];
        if (!isNdjson(type)) throw mediaType(type, 'application/x-ndjson, one JSON document per line');
      },
    },
    async (request, reply) => {
      if (uploads >= LIMITS.uploads) throw busy(`${uploads} uploads are being read already`);
      uploads++;
      try {
        const signal = AbortSignal.any([app.stopping, goneClient(reply)]);
        const encoding = request.headers['content-encoding'];
        const body = request.body as Readable;
        const report = await addDocuments(backend, body, { signal, idleMs, encoding }, commits);
        // A body without any usable row is the caller's mistake; bad rows among good ones are reported beside them.
        const { code, message, line } = report.errors[0] ?? {};
        if (code !== undefined && report.added + report.replaced + report.unchanged === 0)
          throw new WinnowError(code as WinnowError['code'], message!, { place: `request body:${line}` });
        return report;
      } finally {
        uploads--;
      }
    },
  );
}

function noDocument({ id, passage }: PassageRef): WinnowError {
  const what = passage === undefined ? `document "${id}"` : `passage ${passage} of document "${id}"`;
  return new WinnowError('WINNOW_NOT_FOUND', `no ${what}`, { place: 'id' });
}
