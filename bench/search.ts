// From query text to hits over an index of texts: ranking alone, hits with snippets and stored fields, and over HTTP under
// load. Order of magnitude on 5,183 abstracts: tens of microseconds, a millisecond, hundreds of requests a second.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import MiniSearch from 'minisearch';
import { WinnowError } from '../errors.ts';
import type { EmbeddedBackend } from '../query/embedded/embedded-backend.ts';
import { openEmbedded } from '../query/embedded/open-embedded.ts';
import { MODES, type SearchMode } from '../query/request.ts';
import { type Latencies, latencies, time } from './latency.ts';
import { currentCommit, describeMachine } from './machine.ts';

export interface SearchBenchOptions {
  /** Index folder. */
  readonly index: string;
  /** File of queries, one JSON object per line with `text`, as in a BEIR folder. */
  readonly queries: string;
  /** Hits wanted; default 10. */
  readonly k?: number;
  /** Timed passes over all queries after the warm-up; default 3. */
  readonly passes?: number;
  /** Numbers of HTTP clients that search at once; default none. */
  readonly clients?: readonly number[];
  /** Seconds that each system is measured at each number of clients, in turns; default 6. */
  readonly seconds?: number;
  /** Also measure MiniSearch over the same texts. Default false. */
  readonly peers?: boolean;
}

export interface SearchBenchRow extends Latencies {
  readonly system: string;
  /** `ranking`: ids and scores; `hits`: with snippets and stored fields; `http`: as a client sees it. */
  readonly step: 'ranking' | 'hits' | 'http';
  readonly clients: number;
  readonly k: number;
  /** Over HTTP: 99th percentile divided by that of BM25 in the same run. */
  readonly p99ToBm25?: number;
}

export interface SearchBenchReport {
  readonly machine: string;
  readonly commit: string;
  readonly documents: number;
  readonly queries: number;
  readonly rows: readonly SearchBenchRow[];
}

const COMPARED = ['sparse', 'bm25'] as const;
/** Turns that each system gets at each number of clients, so that both see the same disturbances. */
const TURNS = 3;

export async function run(options: SearchBenchOptions): Promise<SearchBenchReport> {
  const { k = 10, passes = 3, clients = [], seconds = 6 } = options;
  const queries = await readQueries(options.queries);
  const backend = openEmbedded(options.index, { readOnly: true });
  const rows: SearchBenchRow[] = [];
  try {
    for (const mode of MODES) {
      const ranking = time(queries.length, (i) => backend.rank(queries[i]!, mode, k), passes);
      rows.push({ system: mode, step: 'ranking', clients: 1, k, ...latencies(ranking) });
      const hits = time(queries.length, (i) => backend.search({ query: queries[i]!, mode, k }), passes);
      rows.push({ system: mode, step: 'hits', clients: 1, k, ...latencies(hits) });
    }
    if (options.peers) {
      const search = await miniSearch(backend);
      const ranking = time(queries.length, (i) => search(queries[i]!).slice(0, k), passes);
      rows.push({ system: 'MiniSearch', step: 'ranking', clients: 1, k, ...latencies(ranking) });
    }
    if (clients.length > 0) rows.push(...(await load(options.index, queries, k, clients, seconds)));
    const { documents } = backend.stats();
    return { machine: describeMachine(), commit: currentCommit(), documents, queries: queries.length, rows };
  } finally {
    await backend.close();
  }
}

/** Texts of a file of queries. @throws WinnowError WINNOW_BAD_DATASET where it has none */
export async function readQueries(path: string): Promise<string[]> {
  const queries: string[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (line.trim() === '') continue;
    const { text } = JSON.parse(line) as { text?: unknown };
    if (typeof text === 'string' && text !== '') queries.push(text);
  }
  if (queries.length === 0)
    throw new WinnowError('WINNOW_BAD_DATASET', 'no line has a "text"', { place: path });
  return queries;
}

/** The server in a process of its own, asked by closed-loop clients in this one. */
async function load(
  index: string,
  queries: readonly string[],
  k: number,
  clients: readonly number[],
  seconds: number,
): Promise<SearchBenchRow[]> {
  const server = spawn(
    process.execPath,
    [...process.execArgv, process.argv[1]!, 'serve', '--index', index, '--port', '0'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    const [first] = (await once(server.stdout, 'data')) as [Buffer];
    const base = /http:\/\/\S+/.exec(String(first))?.[0];
    if (!base) throw new WinnowError('WINNOW_SERVER', `the server said: ${first}`, { place: 'winnow serve' });
    for (const mode of COMPARED) await ask(base, queries, mode, k, 4, 1); // warm-up
    const rows: SearchBenchRow[] = [];
    for (const count of clients) {
      const micros = { sparse: [] as number[], bm25: [] as number[] };
      for (let turn = 0; turn < TURNS; turn++)
        for (const mode of turn % 2 === 0 ? COMPARED : COMPARED.toReversed())
          micros[mode].push(...(await ask(base, queries, mode, k, count, seconds / TURNS)));
      const bm25 = latencies(Float64Array.from(micros.bm25).sort());
      for (const mode of COMPARED) {
        const found = latencies(Float64Array.from(micros[mode]).sort());
        rows.push({
          system: mode,
          step: 'http',
          clients: count,
          k,
          ...found,
          qps: micros[mode].length / seconds,
          p99ToBm25: found.p99Us / bm25.p99Us,
        });
      }
    }
    return rows;
  } finally {
    server.kill('SIGTERM');
    await once(server, 'exit');
  }
}

/** Each client sends its next query when its last answer is complete. @returns microseconds of every answer */
async function ask(
  base: string,
  queries: readonly string[],
  mode: SearchMode,
  k: number,
  clients: number,
  seconds: number,
): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const micros: number[] = [];
  const end = performance.now() + seconds * 1000;
  let next = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < end) {
      const body = JSON.stringify({ query: queries[next++ % queries.length], mode, k });
      const started = performance.now();
      await post(`${base}/search`, body, agent);
      micros.push((performance.now() - started) * 1000);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
  return micros;
}

function post(url: string, body: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method: 'POST',
        agent,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        response.resume();
        response.on('end', () => {
          if (response.statusCode === 200) resolve();
          else reject(new WinnowError('WINNOW_SERVER', `status ${response.statusCode}`, { place: url }));
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

async function miniSearch(backend: EmbeddedBackend): Promise<(query: string) => { id: string }[]> {
  const peer = new MiniSearch({ fields: ['title', 'text'] });
  await backend.raw.reading((contents) => {
    for (const { record } of contents.vectors()) {
      const { id, title, text } = record()!;
      peer.addAll([{ id, title, text }]);
    }
  });
  return (query) => peer.search(query);
}
