import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { openIndex } from '../../app/search-index.ts';
import { randomSource } from '../../evaluation/random.ts';
import { ask, type Served, serve, stop } from '../helpers/served.ts';

export interface ServeKillsReport {
  readonly kills: number;
  readonly terminations: number;
  /** Writes that were answered with 200. */
  readonly acknowledged: number;
  /** Documents read back over HTTP after a restart. */
  readonly readBack: number;
  /** Writes under way at the end of a server that were found on disk without having been acknowledged. */
  readonly committedUnacknowledged: number;
  readonly slowestTerminationMs: number;
}

const WRITERS = 3;
const IDS_PER_WRITER = 40;
/** Share of servers that are ended with SIGTERM instead of SIGKILL. */
const TERMINATED = 0.1;
/** A terminated server ends within this time, on a machine that is busy with other things. */
const TERMINATION_MS = 4000;

/** The texts that an id may have: one that is acknowledged, or before and after a write that was not. */
type Expected = Map<string, readonly (string | undefined)[]>;

/**
 * Ends a server process again and again at random moments while clients write, and reads every document that they touched back
 * from the next one: it is as it was acknowledged, or, where the last write was not, as before or after it.
 *
 * @param lexicalOnly without the encoder, so that most of the time goes into writing
 */
export async function killServers(
  folder: string,
  seed: number,
  kills: number,
  { lexicalOnly = true, onKill = (_: number) => {} } = {},
): Promise<ServeKillsReport> {
  const index = join(folder, 'index');
  await openIndex(index, { create: true, lexicalOnly }).close();
  const random = randomSource(seed);
  const expected: Expected = new Map();
  const report = { acknowledged: 0, readBack: 0, committedUnacknowledged: 0 };
  let touched = new Set<string>();
  let terminations = 0;
  let slowestTerminationMs = 0;
  for (let kill = 0; kill < kills; kill++) {
    const place = `seed ${seed}, kill ${kill}`;
    const served = await serve(index, '--threads', '0');
    await readBack(served.port, touched, expected, report, place);
    touched = new Set();
    const state = { ended: false };
    const writers = Array.from({ length: WRITERS }, (_, i) =>
      write(
        served,
        randomSource(seed * 31 + kill * WRITERS + i),
        `w${i}`,
        `${kill}`,
        state,
        expected,
        touched,
        report,
      ),
    );
    const terminate = random() < TERMINATED;
    await new Promise((resolve) => setTimeout(resolve, random() * (lexicalOnly ? 300 : 900)));
    const end = await stop(served, terminate ? 'SIGTERM' : 'SIGKILL');
    state.ended = true;
    await Promise.all(writers);
    if (terminate) {
      terminations++;
      slowestTerminationMs = Math.max(slowestTerminationMs, end.ms);
      assert.is(
        end.code,
        0,
        `${place}: SIGTERM ended with ${end.code ?? end.signal}: ${served.complaints()}`,
      );
      assert.ok(end.ms < TERMINATION_MS, `${place}: SIGTERM took ${Math.round(end.ms)} ms`);
    } else assert.is(end.signal, 'SIGKILL', `${place}: the server ended by itself: ${served.complaints()}`);
    onKill(kill + 1);
  }
  const last = await serve(index, '--threads', '0');
  await readBack(last.port, new Set(expected.keys()), expected, report, `seed ${seed}, at the end`);
  await stop(last, 'SIGKILL');
  const engine = openIndex(index);
  engine.backend.verify();
  await engine.close();
  return {
    kills: kills - terminations,
    terminations,
    ...report,
    slowestTerminationMs: Math.round(slowestTerminationMs),
  };
}

/** Writes to ids of its own, one request after another, until the server is gone. */
async function write(
  { port }: Served,
  random: () => number,
  writer: string,
  round: string,
  state: { ended: boolean },
  expected: Expected,
  touched: Set<string>,
  report: { acknowledged: number },
): Promise<void> {
  for (let step = 0; !state.ended; step++) {
    const draw = () => `${writer}/${Math.floor(random() * IDS_PER_WRITER)}`;
    const deleted = random() < 0.2;
    const after = new Map<string, string | undefined>();
    if (deleted) after.set(draw(), undefined);
    else
      for (let i = Math.floor(random() * 20); i >= 0; i--)
        after.set(draw(), `Round ${round}, step ${step}, parcel ${i} of ${writer}.`);
    for (const [id, text] of after) {
      expected.set(id, [...(expected.get(id) ?? [undefined]), text]);
      touched.add(id);
    }
    const [first] = after.keys();
    const asked = deleted
      ? { method: 'DELETE', path: `/documents/${encodeURIComponent(first!)}` }
      : {
          method: 'POST',
          path: '/documents',
          headers: { 'content-type': 'application/x-ndjson' },
          body: [...after].map(([id, text]) => JSON.stringify({ id, text })).join('\n'),
        };
    let status: number;
    try {
      status = (await ask(port, asked)).status;
    } catch {
      return; // the connection broke: not acknowledged
    }
    if (status === 503) return;
    assert.ok(status === 200 || (deleted && status === 404), `a write was answered with ${status}`);
    report.acknowledged++;
    for (const [id, text] of after) expected.set(id, [text]);
  }
}

async function readBack(
  port: number,
  ids: ReadonlySet<string>,
  expected: Expected,
  report: { readBack: number; committedUnacknowledged: number },
  place: string,
): Promise<void> {
  for (const id of ids) {
    const { status, text } = await ask(port, { method: 'GET', path: `/documents/${encodeURIComponent(id)}` });
    const found = status === 404 ? undefined : (JSON.parse(text).text as string);
    const allowed = expected.get(id)!;
    assert.ok(
      allowed.includes(found),
      `${place}: "${id}" reads ${JSON.stringify(found)}, acknowledged was ${JSON.stringify(allowed)}`,
    );
    if (allowed.length > 1 && found !== allowed[0]) report.committedUnacknowledged++;
    expected.set(id, [found]);
    report.readBack++;
  }
}
