// A process that sends searches to a server, so that the load has a core of its own where there is one.
import { fileURLToPath } from 'node:url';
import autocannon, { type Client, type Result } from 'autocannon';
import { answerCalls, isChild, Worker } from './child.ts';

/** Requests of the same route, which connections send in turns, each beginning at another one. */
export interface Load {
  /** Address with the route. */
  readonly url: string;
  /** JSON. */
  readonly bodies: readonly string[];
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadOutcome {
  readonly seconds: number;
  /** Milliseconds of each answer with status 200. */
  readonly millis: readonly number[];
  /** Answers 503: the server had enough to do. */
  readonly refused: number;
  /** Broken connections, timeouts, and answers with any other status. */
  readonly errors: number;
}

const SELF = fileURLToPath(import.meta.url);
const TIMEOUT_SECONDS = 30;

export const startLoad = (): Worker<LoadOutcome> => Worker.start<LoadOutcome>(SELF, {}, 'autocannon');

async function measure({ url, bodies, connections, seconds }: Load): Promise<LoadOutcome> {
  const requests = bodies.map((body) => ({
    method: 'POST' as const,
    headers: { 'content-type': 'application/json' },
    body,
  }));
  const millis: number[] = [];
  let refused = 0;
  let errors = 0;
  let started = 0;
  const setupClient = (client: Client): void => {
    const first = (started++ * 7919) % requests.length;
    client.setRequests([...requests.slice(first), ...requests.slice(0, first)]);
  };
  const timeout = TIMEOUT_SECONDS;
  const result = await new Promise<Result>((resolve, reject) => {
    const options = { url, connections, duration: seconds, timeout, requests, setupClient };
    autocannon(options, (error, result) => (error ? reject(error) : resolve(result))).on(
      'response',
      (_client, status, _bytes, time) => {
        if (status === 200) millis.push(Number(time.toFixed(3)));
        else if (status === 503) refused++;
        else errors++;
      },
    );
  });
  return { seconds: result.duration, millis, refused, errors: errors + result.errors };
}

if (isChild(SELF)) answerCalls<Load>(measure);
