import { readQueries } from '../corpus/beir.ts';
import { percentile } from '../evaluation/latency.ts';
import type { EmbeddedBackend } from '../query/embedded/embedded-backend.ts';
import { openEmbedded } from '../query/embedded/open-embedded.ts';
import { type BenchReport, report } from './report.ts';

// What reranking costs the searches beside it, and whether memory stays bounded. Plain searches are due at a fixed rate (open loop),
// and the time from being due to being answered counts, so waiting behind other work is seen. Phases with and without a
// reranked search under way take turns. Then `soak` reranked searches run, and memory is read ten times on the way.

export interface RerankLoadOptions {
  readonly index: string;
  /** queries.jsonl with one `text` per line. */
  readonly queries: string;
  readonly model?: string;
  readonly reranker?: string;
  readonly rerank?: 'vector' | 'cross' | undefined;
  readonly depth?: number;
  /** Seconds of each phase. */
  readonly seconds?: number;
  /** Reranked searches whose memory is watched. */
  readonly soak?: number;
}

interface BesideRow {
  readonly state: string;
  readonly searches: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Reranked searches that were answered meanwhile, per second. */
  readonly rerankedPerSecond: number;
}

interface MemoryRow {
  readonly state: string;
  readonly residentMB: number;
}

export type RerankLoadReport = BenchReport<BesideRow | MemoryRow>;

const ROUNDS = 4;
/** Plain searches due per second: a few percent of a core, so that their own load does not decide the figures. */
const RATE = 200;
const SOAK_DEPTH = 10;

export async function run(options: RerankLoadOptions): Promise<RerankLoadReport> {
  const {
    index: folder,
    queries,
    model,
    reranker,
    rerank = 'cross',
    depth = 50,
    seconds = 5,
    soak = 10_000,
  } = options;
  const texts = (await readQueries(queries)).map(({ text }) => text);
  const named = {
    ...(model === undefined ? {} : { model }),
    ...(reranker === undefined ? {} : { reranker }),
  };
  const index = openEmbedded(folder, named);
  let next = 0;
  const text = () => texts[next++ % texts.length]!;
  const reranked = (rerankDepth: number) => index.search({ query: text(), rerank, rerankDepth });
  try {
    await index.warmUp();
    await measure(index, text, 1);
    const alone: number[] = [];
    const beside: number[] = [];
    let answered = 0;
    for (let round = 0; round < ROUNDS; round++) {
      alone.push(...(await measure(index, text, seconds)));
      const running = { on: true };
      const loop = (async () => {
        while (running.on) {
          await reranked(depth);
          answered++;
        }
      })();
      beside.push(...(await measure(index, text, seconds)));
      running.on = false;
      await loop;
    }
    const rows: (BesideRow | MemoryRow)[] = [
      row('searches alone', alone, 0),
      row(`beside rerank ${rerank}, depth ${depth}`, beside, answered / (ROUNDS * seconds)),
    ];
    for (let i = 0; i <= 10; i++) {
      rows.push({
        state: `after ${Math.round((soak * i) / 10)} reranked searches`,
        residentMB: process.memoryUsage().rss / 2 ** 20,
      });
      if (i < 10) for (let n = 0; n < soak / 10; n++) await reranked(Math.min(depth, SOAK_DEPTH));
    }
    return report(rows);
  } finally {
    await index.close();
  }
}

/** Plain searches due at {@link RATE}. @returns microseconds from being due to being answered */
async function measure(index: EmbeddedBackend, text: () => string, seconds: number): Promise<number[]> {
  const micros: number[] = [];
  const started = performance.now();
  for (let i = 0; i < seconds * RATE; i++) {
    const due = started + (1000 * i) / RATE;
    const wait = due - performance.now();
    // A timer is a millisecond late at best, which would be counted as waiting; the rest is spent in turns of the event loop.
    if (wait > 2) await new Promise((resolve) => setTimeout(resolve, wait - 2));
    while (performance.now() < due) await new Promise((resolve) => setImmediate(resolve));
    index.search({ query: text(), rerank: false });
    micros.push((performance.now() - due) * 1000);
  }
  return micros;
}

function row(state: string, micros: number[], rerankedPerSecond: number): BesideRow {
  micros.sort((a, b) => a - b);
  return {
    state,
    searches: micros.length,
    p50Us: percentile(micros, 50),
    p99Us: percentile(micros, 99),
    rerankedPerSecond,
  };
}
