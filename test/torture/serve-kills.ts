import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { openIndex } from '../../app/search-index.ts';
import { SearchService } from '../../app/service/search-service.ts';
import { randomSource } from '../../random.ts';
import { type Answered, type Asked, ask, type Served, serve, stop } from '../helpers/served.ts';

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

/** Text and metadata of a document as they are read back; undefined where there is none. */
type State = string | undefined;
/** The states that an id may have: one that is acknowledged, or before and after a write that was not. */
type Expected = Map<string, readonly State[]>;

const stateOf = (text: string, mark: string): State => JSON.stringify([text, mark]);
const COLLECTION = '/v1/collections/parcels';

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
  const data = join(folder, 'data');
  const service = SearchService.openFolder(data);
  await service.create({ name: 'parcels', ...(lexicalOnly ? { model: null } : {}) });
  await service.close();
  const random = randomSource(seed);
  const expected: Expected = new Map();
  const report = { acknowledged: 0, readBack: 0, committedUnacknowledged: 0 };
  let touched = new Set<string>();
  let terminations = 0;
  let slowestTerminationMs = 0;
  for (let kill = 0; kill < kills; kill++) {
    const place = `seed ${seed}, kill ${kill}`;
    const served = await serve(data, '--threads', '0');
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
  const last = await serve(data, '--threads', '0');
  await readBack(last.port, new Set(expected.keys()), expected, report, `seed ${seed}, at the end`);
  await stop(last, 'SIGKILL');
  const [index] = readdirSync(join(data, 'collections'));
  const engine = openIndex(join(data, 'collections', index!));
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
  const ids = Array.from({ length: IDS_PER_WRITER }, (_, i) => `${writer}/${i}`);
  for (let step = 0; !state.ended; step++) {
    const change = drawChange(random, ids, `round ${round}, step ${step}`, expected);
    for (const [id, after] of change.after) {
      expected.set(id, [...(expected.get(id) ?? [undefined]), after]);
      touched.add(id);
    }
    let answer: Answered;
    try {
      answer = await ask(port, change.asked);
    } catch {
      return; // the connection broke: not acknowledged
    }
    const { status, text } = answer;
    if (status === 503) return;
    assert.ok(status === 200 || (status === 404 && change.mayMiss), `a write was answered ${status} ${text}`);
    const stored = change.isUpload ? storedIds(text) : [...change.after.keys()];
    for (const id of stored) expected.set(id, [change.after.get(id)]);
    if (stored.length < change.after.size) return; // the server began to stop
    report.acknowledged++;
  }
}

interface DrawnChange {
  readonly asked: Asked;
  /** By id. */
  readonly after: ReadonlyMap<string, State>;
  readonly isUpload: boolean;
  /** Whether the document may be missing. */
  readonly mayMiss: boolean;
}

/** An upload, a change of metadata, or a deletion. */
function drawChange(
  random: () => number,
  ids: readonly string[],
  mark: string,
  expected: Expected,
): DrawnChange {
  const draw = () => ids[Math.floor(random() * ids.length)]!;
  const json = { 'content-type': 'application/json' };
  const kind = random();
  if (kind < 0.2) {
    const id = draw();
    const one = { method: 'DELETE', path: pathOf(id) };
    const several = {
      method: 'POST',
      path: `${COLLECTION}/documents/delete`,
      headers: json,
      body: JSON.stringify({ ids: [id] }),
    };
    const asked = random() < 0.5 ? one : several;
    return { asked, after: new Map([[id, undefined]]), isUpload: false, mayMiss: true };
  }
  if (kind < 0.35) {
    const id = draw();
    const before = expected.get(id)?.at(-1);
    const after = before && stateOf(JSON.parse(before)[0], mark);
    const body = JSON.stringify({ metadata: { mark } });
    const asked = { method: 'PATCH', path: pathOf(id), headers: json, body };
    return { asked, after: new Map([[id, after]]), isUpload: false, mayMiss: before === undefined };
  }
  const rows = new Map<string, string>();
  for (let i = Math.floor(random() * 20); i >= 0; i--) rows.set(draw(), `Parcel ${i} of ${mark}.`);
  const asked = {
    method: 'POST',
    path: `${COLLECTION}/documents`,
    headers: { 'content-type': 'application/x-ndjson' },
    body: [...rows].map(([id, text]) => JSON.stringify({ id, text, mark })).join('\n'),
  };
  const after = new Map([...rows].map(([id, text]) => [id, stateOf(text, mark)]));
  return { asked, after, isUpload: true, mayMiss: false };
}

const pathOf = (id: string): string => `${COLLECTION}/documents/${encodeURIComponent(id)}`;

/** Of the lines of an answer to NDJSON: what is said to be stored is, also where a last line has an error. */
function storedIds(text: string): string[] {
  const lines = text.split('\n').filter(Boolean);
  const results = lines.map((line) => JSON.parse(line) as { id?: string; status?: string });
  return results.flatMap(({ id, status }) =>
    id !== undefined && (status === 'added' || status === 'replaced' || status === 'unchanged') ? [id] : [],
  );
}

/** A server that has just started on a busy machine may say that it is overloaded. */
async function whenReady(port: number, asked: Asked): Promise<Answered> {
  for (let attempt = 0; ; attempt++) {
    const answered = await ask(port, asked);
    if (answered.status !== 503 || attempt === 20) return answered;
    await new Promise((resolve) => setTimeout(resolve, 250));
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
    const { status, text } = await whenReady(port, { method: 'GET', path: pathOf(id) });
    assert.ok(status === 200 || status === 404, `${place}: "${id}" was answered ${status} ${text}`);
    const document = status === 404 ? undefined : JSON.parse(text);
    const found = document && stateOf(document.text, document.metadata.mark);
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
