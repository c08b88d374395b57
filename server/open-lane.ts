import { Lane } from '../app/lane.ts';

/** What metrics show of a queue. */
export interface Queue {
  readonly name: string;
  /** Actions that run or wait. */
  readonly length: number;
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Queues of this server, whose lengths metrics show. */
    readonly lanes: Queue[];
  }
}

/** A {@link Lane} that the metrics of a server know. */
export function openLane(app: { readonly lanes: Queue[] }, name: string, maxWaiting: number): Lane {
  const lane = new Lane(name, maxWaiting);
  app.lanes.push(lane);
  return lane;
}
