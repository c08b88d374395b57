import type { FastifyReply } from 'fastify';
import type { Lane } from '../app/lane.ts';
import type { Awaitable, SearchBackend } from '../query/backend.ts';
import type { SearchOptions } from '../query/request.ts';
import { LIMITS, searchSteps } from './limits.ts';
import { openLane } from './open-lane.ts';
import { goneClient } from './routes/route-context.ts';

/**
 * When searches and encodings run: heavy searches one after another, so that light ones come between two of them. So do those that a
 * cross-encoder reranks, and encodings, whose work is done by other threads.
 */
export class SearchTurns {
  private readonly heavy: Lane;
  private readonly reranking: Lane;
  private readonly encoding: Lane;

  constructor(app: Parameters<typeof openLane>[0]) {
    this.heavy = openLane(app, 'heavy searches', LIMITS.heavySearchesWaiting);
    this.reranking = openLane(app, 'searches with reranking', LIMITS.rerankingWaiting);
    this.encoding = openLane(app, 'encodings', LIMITS.encodingsWaiting);
  }

  /**
   * @param search is given a signal that is aborted when the client is gone
   * @throws WinnowError WINNOW_TOO_COSTLY, WINNOW_BUSY, and what the search throws
   */
  async run<T>(
    reply: FastifyReply,
    backend: SearchBackend,
    { query, ...options }: SearchOptions & { readonly query: string },
    search: (signal: AbortSignal) => Awaitable<T>,
  ): Promise<T> {
    const size = await backend.searchSize(query);
    const tokens = Math.max(size.queryTokens, Object.keys(options.vector ?? {}).length);
    const steps = searchSteps(options, { ...size, queryTokens: tokens });
    const gone = goneClient(reply);
    const scoresPassages = options.rerank === true || options.rerank === 'cross';
    const lane = scoresPassages ? this.reranking : steps <= LIMITS.lightSteps ? undefined : this.heavy;
    return lane ? runUnlessGone(lane, gone, search) : search(gone);
  }

  /**
   * Runs encodings of texts one after another: each keeps all threads busy, which documents and searches need, too.
   *
   * @param encode is given a signal that is aborted when the client is gone
   * @throws WinnowError WINNOW_BUSY, and what the encoding throws
   */
  async encode<T>(reply: FastifyReply, encode: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return runUnlessGone(this.encoding, goneClient(reply), encode);
  }
}

function runUnlessGone<T>(
  lane: Lane,
  gone: AbortSignal,
  action: (signal: AbortSignal) => Awaitable<T>,
): Promise<T> {
  return lane.run(() => {
    gone.throwIfAborted();
    return action(gone);
  });
}

/** The options of a request, with the longest time that a search may take on a server. */
export const withinBudget = <Options extends Pick<SearchOptions, 'budgetMs'>>(options: Options): Options => ({
  ...options,
  budgetMs: Math.min(options.budgetMs ?? LIMITS.budgetMs, LIMITS.budgetMs),
});
