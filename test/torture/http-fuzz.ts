import net from 'node:net';
import { gzipSync } from 'node:zlib';
import { randomSource } from '../../random.ts';
import { type Answered, type Asked, ask, type Served } from '../helpers/served.ts';
import { ODD_NUMBERS, ODD_STRINGS, residentMb } from './odd-values.ts';

export interface HttpFuzzReport {
  readonly requests: number;
  readonly byStatus: Readonly<Record<string, number>>;
  /** Documents that were acknowledged and read back. */
  readonly readBack: number;
  /** Resident memory of the server after a fifth of the requests and at the end, in MB; 0 where the system does not tell. */
  readonly residentMb: readonly [number, number];
  /** All empty when the server is robust: answers 5xx other than 503, silence, connections broken, other shapes, other documents. */
  readonly faults: readonly string[];
}

const CLIENTS = 6;
/** Documents of a client that stay in the index, so that it does not grow. */
const MAX_STORED = 50;
const HANG_MS = 20_000;

/** Asks a server everything, well formed and not, and reads back what it acknowledged. */
export async function fuzzServer(served: Served, seed: number, requests: number): Promise<HttpFuzzReport> {
  const byStatus: Record<string, number> = {};
  const faults: string[] = [];
  const clients = Array.from({ length: CLIENTS }, (_, i) => new Client(served.port, i, seed + i, faults));
  let done = 0;
  let early = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (done < requests && faults.length < 20) {
        if (++done === Math.ceil(requests / 5)) early = residentMb(served);
        const status = await client.step();
        byStatus[status] = (byStatus[status] ?? 0) + 1;
      }
    }),
  );
  await new Promise((resolve) => setTimeout(resolve, faults.length > 0 ? 1000 : 0)); // a server that crashes closes first
  if (served.child.exitCode !== null || served.child.signalCode !== null)
    faults.push(`the server ended: ${served.complaints()}`);
  const readBack = clients.reduce((sum, client) => sum + client.readBack, 0);
  return { requests: done, byStatus, readBack, residentMb: [early, residentMb(served)], faults };
}

type Row = { id: string; title: string; text: string; metadata: Record<string, unknown> };

class Client {
  readBack = 0;
  private readonly port: number;
  private readonly name: string;
  private readonly seed: number;
  private readonly faults: string[];
  private readonly random: () => number;
  private readonly stored = new Map<string, Row>();
  private steps = 0;

  constructor(port: number, number: number, seed: number, faults: string[]) {
    this.port = port;
    this.name = `c${number}`;
    this.seed = seed;
    this.faults = faults;
    this.random = randomSource(seed);
  }

  /** @returns the status, or what came instead of one */
  async step(): Promise<string> {
    this.steps++;
    const draw = this.random();
    if (draw < 0.25) return this.send(this.search());
    if (draw < 0.3) return this.send(this.json('/explain', { query: this.text(4), id: this.anyId() }));
    if (draw < 0.5) return this.upload();
    if (draw < 0.65) return this.read();
    if (draw < 0.72) return this.remove();
    if (draw < 0.82) return this.send(this.misdirected());
    return this.raw();
  }

  private async send(asked: Asked): Promise<string> {
    return String((await this.answer(asked))?.status ?? 'broken');
  }

  /** Checks what every answer must be. */
  private async answer(asked: Asked): Promise<Answered | undefined> {
    let answered: Answered;
    try {
      answered = await ask(this.port, { timeoutMs: HANG_MS, ...asked });
    } catch (error) {
      this.fault(asked, String(error));
      return undefined;
    }
    const { status, text } = answered;
    if (asked.method === 'HEAD') return answered;
    let body: { code?: unknown; message?: unknown } | undefined;
    try {
      body = JSON.parse(text);
    } catch {}
    // The search page answers GET / with HTML.
    if (body === undefined && /^<!doctype html>/.test(text)) return answered;
    if (status >= 500 && status !== 503) this.fault(asked, `${status} ${text.slice(0, 300)}`);
    else if (body === undefined) this.fault(asked, `${status} is no JSON: ${text.slice(0, 100)}`);
    else if (status >= 400 && !(/^WINNOW_/.test(String(body.code)) && typeof body.message === 'string'))
      this.fault(asked, `${status} has another shape: ${text.slice(0, 200)}`);
    return answered;
  }

  private fault(asked: Asked | string, what: string): void {
    const request =
      typeof asked === 'string' ? asked : `${asked.method} ${asked.path} ${String(asked.body ?? '')}`;
    this.faults.push(
      `seed ${this.seed}, ${this.name}, step ${this.steps}: ${request.slice(0, 400)}: ${what}`,
    );
  }

  private pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!;
  }

  private below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  private text(maxWords: number): string {
    return Array.from({ length: 1 + this.below(maxWords) }, () => this.pick(WORDS)).join(' ');
  }

  /** Any JSON; objects and lists get rarer with depth. */
  private value(depth = 0): unknown {
    switch (this.below(depth > 4 ? 6 : 8)) {
      case 0:
        return this.pick(ODD_STRINGS);
      case 1:
        return this.pick(ODD_NUMBERS);
      case 2:
        return this.random() < 0.5;
      case 3:
        return null;
      case 4:
        return this.below(1000);
      case 5:
        return this.text(3);
      case 6:
        return Array.from({ length: this.below(4) }, () => this.value(depth + 1));
      default:
        return this.object(depth + 1);
    }
  }

  private object(depth = 0): Record<string, unknown> {
    const names = Array.from({ length: this.below(4) }, () => this.pick(ODD_STRINGS));
    return Object.fromEntries(names.map((name) => [name, this.value(depth)]));
  }

  private json(path: string, body: unknown, headers: Record<string, string> = {}): Asked {
    return {
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    };
  }

  private search(): Asked {
    const long = this.random() < 0.02;
    const body: Record<string, unknown> = { query: long ? this.text(3000).slice(0, 10_000) : this.text(6) };
    for (let i = this.below(5); i > 0; i--) {
      const name = this.pick(Object.keys(OPTIONS));
      body[name] = this.random() < 0.15 ? this.value() : this.pick(OPTIONS[name]!);
    }
    if (this.random() < 0.05) body[this.pick(ODD_STRINGS)] = this.value();
    if (this.random() < 0.03) body.filter = this.largeFilter();
    return this.json('/search', this.random() < 0.03 ? this.value() : body);
  }

  private largeFilter(): unknown {
    const conditions = Array.from({ length: 1 + this.below(3000) }, () => ({ year: this.below(3000) }));
    return this.random() < 0.5
      ? { or: conditions }
      : JSON.parse('{"not":'.repeat(40) + JSON.stringify({ year: 1 }) + '}'.repeat(40));
  }

  private anyId(): string {
    const known = [...this.stored.keys()];
    return known.length > 0 && this.random() < 0.7
      ? this.pick(known)
      : `${this.name}${this.pick(ODD_STRINGS)}`;
  }

  private pathOf(id: string): string {
    return `/documents/${encodeURIComponent(id.toWellFormed())}`;
  }

  private row(): Row {
    const odd = this.random() < 0.5 ? this.pick(ODD_STRINGS) : String(this.below(30));
    return {
      id: `${this.name}${odd}`,
      title: this.random() < 0.5 ? '' : this.text(4),
      text: this.text(30),
      metadata: { ...this.object(), ...(this.random() < 0.5 ? { year: this.below(3000) } : {}) },
    };
  }

  private async upload(): Promise<string> {
    const rows = Array.from({ length: 1 + this.below(5) }, () => this.row());
    const lines = rows.map((row) => JSON.stringify(row));
    const broken = this.random() < 0.2;
    if (broken)
      lines.splice(
        this.below(lines.length),
        0,
        this.pick(['{', '[]', '7', '{"id":1}', 'null', '{"text":"x"}']),
      );
    const packed = this.random() < 0.2;
    const body = packed ? gzipSync(lines.join('\n')) : lines.join('\n');
    const headers = {
      'content-type': 'application/x-ndjson',
      ...(packed ? { 'content-encoding': 'gzip' } : {}),
    };
    const asked = { method: 'POST', path: '/documents', headers, body };
    const answered = await this.answer(asked);
    if (answered?.status !== 200) {
      if (answered && answered.status !== 400 && answered.status !== 503)
        this.fault(asked, `status ${answered.status}`);
      return String(answered?.status ?? 'broken');
    }
    const report = JSON.parse(answered.text) as { errors: { line: number }[] };
    const refused = new Set(report.errors.map(({ line }) => line));
    lines.forEach((line, i) => {
      if (refused.has(i + 1)) return;
      const row = JSON.parse(line) as Row;
      this.stored.set(row.id, row);
    });
    while (this.stored.size > MAX_STORED) await this.remove([...this.stored.keys()][0]);
    return '200';
  }

  private async read(): Promise<string> {
    const id = this.anyId();
    const asked = { method: 'GET', path: this.pathOf(id) };
    const answered = await this.answer(asked);
    const row = this.stored.get(id);
    if (answered?.status === 200) {
      this.readBack++;
      const { id: foundId, title, text, metadata } = JSON.parse(answered.text);
      const found = JSON.stringify([foundId, title, text, metadata]);
      const stored = row && JSON.stringify([row.id, row.title, row.text, row.metadata]);
      if (found !== stored) this.fault(asked, `read back ${found}, acknowledged was ${stored}`);
    } else if (row) this.fault(asked, `acknowledged, but the answer is ${answered?.status}`);
    return String(answered?.status ?? 'broken');
  }

  private async remove(id = this.anyId()): Promise<string> {
    const asked = { method: 'DELETE', path: this.pathOf(id) };
    const answered = await this.answer(asked);
    if (answered?.status === 200) this.stored.delete(id);
    else if (this.stored.has(id)) this.fault(asked, `stored, but the answer is ${answered?.status}`);
    return String(answered?.status ?? 'broken');
  }

  /** Well-formed HTTP to wrong places, with wrong methods, types, hosts and origins. */
  private misdirected(): Asked {
    const method = this.pick(['GET', 'POST', 'DELETE', 'PUT', 'OPTIONS', 'HEAD', 'PATCH']);
    const path = this.pick([
      '/',
      '/search',
      '/documents',
      '/documents/',
      '/documents/%',
      '/documents/%ff%fe',
      '/health',
      '/openapi.json',
      '/snapshots',
      `/documents/${'a'.repeat(3000)}`,
      '/documents/a?passage=x',
      '/documents/a/b',
      '/explain?x=%',
      '/%00',
      '//',
      '/__proto__',
    ]);
    const headers: Record<string, string> = {};
    if (this.random() < 0.3)
      headers.host = this.pick([
        'evil.example',
        'localhost.evil.example',
        '127.0.0.1:1',
        '',
        '[::1',
        'LOCALHOST',
      ]);
    if (this.random() < 0.3)
      headers.origin = this.pick(['null', 'https://evil.example', 'http://localhost:1', '']);
    if (this.random() < 0.5)
      headers['content-type'] = this.pick([
        'text/plain',
        'application/json',
        'application/x-ndjson',
        ';',
        'multipart/form-data',
        'a/b; c',
      ]);
    if (this.random() < 0.2) headers['content-encoding'] = this.pick(['gzip', 'br', 'deflate', '']);
    const hasBody = method !== 'GET' && method !== 'HEAD' && this.random() < 0.5;
    return { method, path, headers, ...(hasBody ? { body: this.pick(BODIES) } : {}) };
  }

  /** Bytes that may be no HTTP at all. The server may close, and answers in the shape of all errors or as asked. */
  private raw(): Promise<string> {
    const {
      method,
      path,
      headers = {},
      body = '',
    } = this.random() < 0.5 ? this.search() : this.misdirected();
    const head = Object.entries({
      host: 'localhost',
      'content-length': String(Buffer.byteLength(body)),
      ...headers,
    });
    let bytes = Buffer.from(
      `${method} ${path} HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
    );
    for (let i = this.below(6); i > 0; i--) bytes[this.below(bytes.length)] = this.below(256);
    const draw = this.random();
    if (draw < 0.2) bytes = bytes.subarray(0, this.below(bytes.length));
    else if (draw < 0.25)
      bytes = Buffer.concat([bytes.subarray(0, 20), Buffer.alloc(20_000, 97), bytes.subarray(20)]);
    const hangUp = this.random() < 0.2;
    return new Promise((resolve) => {
      const socket = net.connect({ host: '127.0.0.1', port: this.port });
      const chunks: Buffer[] = [];
      const timer = setTimeout(() => {
        this.fault(bytes.toString('latin1'), `no end after ${HANG_MS} ms`);
        socket.destroy();
      }, HANG_MS);
      socket.on('data', (chunk) => chunks.push(chunk));
      socket.on('error', () => {});
      socket.on('close', () => {
        clearTimeout(timer);
        const said = Buffer.concat(chunks).toString('latin1');
        const status = /^HTTP\/1\.1 (\d{3})/.exec(said)?.[1];
        if (status !== undefined && status >= '500' && status !== '503')
          this.fault(bytes.toString('latin1'), said.slice(0, 500));
        resolve(status ?? 'closed');
      });
      socket.on('connect', () => {
        if (hangUp) socket.write(bytes, () => socket.destroy());
        else socket.end(bytes);
      });
    });
  }
}

const WORDS =
  'sky blue harbour light engine car water stone paper music river winter market bread salt'.split(' ');
const BODIES = [
  '',
  '{}',
  '[]',
  'null',
  '{"query":"sky"}',
  'x'.repeat(5000),
  '{"id":"z","text":"t"}\n',
  '{"__proto__":1,"query":"a"}',
];
const OPTIONS: Readonly<Record<string, readonly unknown[]>> = {
  k: [1, 10, 100, 1000, 0, 1001],
  offset: [0, 5, 10_000, -1],
  mode: ['sparse', 'bm25', 'hybrid', 'dense'],
  filter: [
    { year: 3 },
    { year: { gte: 10, lt: 2000 } },
    { or: [{ year: 1 }, { not: { year: 2 } }] },
    { colour: 'red' },
    {},
    { year: {} },
  ],
  explain: [true, false],
  groupByParent: [true, false],
  fusion: ['weighted', 'rrf'],
  sparseWeight: [0, 0.5, 1, 2],
  idf: ['blended', 'table'],
  sort: [{ field: 'year' }, { field: 'year', order: 'desc' }, { field: 'none' }],
  facets: [['year'], [], ['none']],
  rankDepth: [1, 1000, 0],
  scan: ['auto', 'exact', 'pruned'],
  alpha: [1, 0.5, 0],
  budgetMs: [1, 1000, 0],
};
