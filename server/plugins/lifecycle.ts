import plugin from 'fastify-plugin';
import { busy } from '../../app/lane.ts';
import type { WinnowError } from '../../errors.ts';
import type { Awaitable } from '../../query/backend.ts';
import { LIMITS } from '../limits.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborted with a WinnowError when the server begins to stop. */
    readonly stopping: AbortSignal;
  }
}

/** What is kept fresh: a service or a backend. */
interface Watched {
  health(): Awaitable<{ readonly maintenanceError?: WinnowError }>;
}

/** Time between two refreshes of the view of the index, in ms. */
const REFRESH_INTERVAL_MS = 1000;

/** Stops within some {@link LIMITS.closeMs} ms, and keeps the view of the index fresh until then. */
export const lifecycle = plugin(async (app, { backend }: { backend: Watched }) => {
  const stopping = new AbortController();
  app.decorate('stopping', stopping.signal);
  app.addHook('onRequest', (_request, _reply, done) => {
    stopping.signal.throwIfAborted();
    done();
  });
  app.addHook('preClose', async () => {
    stopping.abort(busy('the server is stopping'));
    setTimeout(() => app.server.closeAllConnections(), LIMITS.closeMs).unref();
  });
  // An old view of the index keeps its pages alive, so that the file would grow while another process writes. Asking for the
  // health of the index replaces the view.
  let logged: string | undefined;
  const refresh = setInterval(async () => {
    const problem = await problemOf(backend);
    if (problem !== undefined && String(problem) !== logged) app.log.error(problem);
    logged = problem === undefined ? undefined : String(problem);
  }, REFRESH_INTERVAL_MS).unref();
  app.addHook('onClose', async () => clearInterval(refresh));
});

async function problemOf(backend: Watched): Promise<unknown> {
  try {
    return (await backend.health()).maintenanceError;
  } catch (error) {
    return error;
  }
}
