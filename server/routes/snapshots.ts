import type { SnapshotFolder } from '../../app/snapshot-folder.ts';
import { LIMITS } from '../limits.ts';
import { openLane } from '../open-lane.ts';
import { isJson } from '../plugins/bodies.ts';
import { mediaType } from '../plugins/errors.ts';
import { SnapshotRequest, SnapshotResponse, SnapshotsResponse } from '../schemas.ts';
import { failures, type TypedApp } from './route-context.ts';

/** `POST` and `GET /snapshots`. Requests name no paths, and restoring is left to the command line. */
export async function snapshotRoutes(
  app: TypedApp,
  { snapshots }: { snapshots: SnapshotFolder },
): Promise<void> {
  // Writes to the index go on meanwhile.
  const oneAtATime = openLane(app, 'snapshots', LIMITS.snapshotsWaiting);
  app.post(
    '/snapshots',
    {
      config: { scope: 'admin', collection: 'default' },
      schema: {
        summary: 'Take a snapshot',
        description:
          'Copies the index into the folder of winnow serve --snapshots, and removes the oldest copies beyond --max-snapshots. Needs content type application/json, with the body {}.',
        body: SnapshotRequest,
        response: { 200: SnapshotResponse, ...failures },
      },
      // A page of another origin cannot send this type without a preflight request, which is refused.
      onRequest: async ({ headers }) => {
        const type = headers['content-type'];
        if (!isJson(type)) throw mediaType(type, 'application/json, with the body {}');
      },
    },
    () => oneAtATime.run(() => snapshots.take()),
  );
  app.get(
    '/snapshots',
    {
      config: { scope: 'admin', collection: 'default' },
      schema: {
        summary: 'List snapshots',
        description: 'Oldest first, and apart those that cannot be restored as they are.',
        response: { 200: SnapshotsResponse, ...failures },
      },
    },
    async () => snapshots.list(),
  );
}
