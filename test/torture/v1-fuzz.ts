import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { randomSource } from '../../random.ts';
import { type Answered, type Asked, ask, type Served } from '../helpers/served.ts';
import { ODD_STRINGS, residentMb } from './odd-values.ts';
import { type JsonSchema, SchemaValues } from './schema-values.ts';

export interface V1FuzzReport {
  readonly requests: number;
  readonly byStatus: Readonly<Record<string, number>>;
  /** Operations of the OpenAPI document, and MCP, with the number of requests that were answered below 400. */
  readonly succeeded: Readonly<Record<string, number>>;
  /** Documents that were acknowledged and read back. */
  readonly readBack: number;
  /** Resident memory of the server after a fifth of the requests and at the end, in MB. */
  readonly residentMb: readonly [number, number];
  /** All empty when the server is robust. */
  readonly faults: readonly string[];
}

/** What a server is asked with. */
export interface FuzzTarget {
  readonly served: Served;
  /** Data folder, which no answer may name. */
  readonly folder: string;
  /** Tokens of keys by what they may do. */
  readonly keys: Readonly<Record<'admin' | 'write' | 'read' | 'limited' | 'expired', string>>;
  /** Paths in the folder of imports. */
  readonly imports: readonly string[];
}

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly { readonly in: string; readonly name: string; readonly schema: JsonSchema }[];
  readonly bodies: Readonly<Record<string, JsonSchema>>;
}

const CLIENTS = 6;
const HANG_MS = 30_000;
/** A server that has just started may be too busy for the first question. */
const BUSY_MS = 500;
const MAX_FAULTS = 20;
/** Busy, and what the collection of the request has not (WINNOW_UNSUPPORTED). */
const BUSY = 503;
const REFUSALS = [BUSY, 501];
const COLLECTIONS = ['f0', 'f1', 'f2', 'f3'];
const ALIASES = ['a0', 'a1'];
const WORDS = 'sky blue harbour light engine car water stone paper music river winter "blue sky" -car'.split(
  / (?!sky)/,
);

/** Asks a server with keys everything that its OpenAPI document names, and MCP, as schemas allow it and not, and as changed bytes. */
export async function fuzzV1(target: FuzzTarget, seed: number, requests: number): Promise<V1FuzzReport> {
  const { served } = target;
  const operations = await operationsOf(served.port);
  const state = { byStatus: {} as Record<string, number>, succeeded: {} as Record<string, number> };
  const faults: string[] = [];
  const clients = Array.from(
    { length: CLIENTS },
    (_, i) => new V1Client(target, operations, i, seed + i, faults, state.succeeded),
  );
  for (const client of clients) await client.start();
  let done = 0;
  let early = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (done < requests && faults.length < MAX_FAULTS) {
        if (++done === Math.ceil(requests / 5)) early = residentMb(served);
        const status = await client.step();
        state.byStatus[status] = (state.byStatus[status] ?? 0) + 1;
      }
    }),
  );
  if (served.child.exitCode !== null || served.child.signalCode !== null)
    faults.push(`the server ended: ${served.complaints()}`);
  const readBack = clients.reduce((sum, client) => sum + client.readBack, 0);
  return { requests: done, ...state, readBack, residentMb: [early, residentMb(served)], faults };
}

async function operationsOf(port: number): Promise<Operation[]> {
  const { status, text } = await ask(port, { method: 'GET', path: '/openapi.json' });
  if (status === BUSY) {
    await pause(BUSY_MS);
    return operationsOf(port);
  }
  const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, OpenApiOperation>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      bodies: Object.fromEntries(
        Object.entries(requestBody?.content ?? {}).map(([type, { schema = {} }]) => [type, schema]),
      ),
    })),
  );
}

interface OpenApiOperation {
  readonly parameters?: Operation['parameters'];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema?: JsonSchema }>> };
}

class V1Client {
  readBack = 0;
  private readonly target: FuzzTarget;
  private readonly operations: readonly Operation[];
  /** A collection that only this client writes to, and only in {@link keep}. */
  private readonly own: string;
  private readonly seed: number;
  private readonly faults: string[];
  private readonly succeeded: Record<string, number>;
  private readonly values: SchemaValues;
  private readonly stored = new Map<string, string>();
  private readonly tasks: string[] = ['0'];
  private steps = 0;

  constructor(
    target: FuzzTarget,
    operations: readonly Operation[],
    number: number,
    seed: number,
    faults: string[],
    succeeded: Record<string, number>,
  ) {
    this.target = target;
    this.operations = operations;
    this.own = `own${number}`;
    this.seed = seed;
    this.faults = faults;
    this.succeeded = succeeded;
    const values: SchemaValues = new SchemaValues(randomSource(seed), {
      c: () => values.pick([...COLLECTIONS, ...ALIASES, 'missing']),
      collection: () => values.pick([...COLLECTIONS, ...ALIASES, 'missing']),
      with: () => values.pick(COLLECTIONS),
      alias: () => values.pick(ALIASES),
      name: () => values.pick([...COLLECTIONS, 'a.md', 'b.csv', 'c.jsonl', 'd.html', 'e.txt', 'year']),
      id: () => {
        const draw = values.random();
        if (draw < 0.5) return `d${values.below(9)}`;
        return values.pick(draw < 0.8 ? this.tasks.slice(-5) : ODD_STRINGS);
      },
      ids: () => Array.from({ length: values.below(4) }, () => `d${values.below(9)}`),
      query: () => this.text(),
      path: () => values.pick([...target.imports, '../secret', '/etc/passwd', '.', 'none.md']),
      model: () => (values.chance(0.97) ? null : 'winnow-mini'),
      filter: () => values.pick(FILTERS),
      sort: () => values.pick([{ field: 'year' }, { field: 'year', order: 'desc' }, { field: 'none' }]),
      facets: () => values.pick([['year'], [], ['none']]),
      fields: () => values.pick([['text'], ['year'], [{ name: 'year', type: 'number' }], []]),
      vector: () => values.pick([{ sky: 1 }, { sky: 2, '##s': 0.5 }, { nonsense_: 1 }, {}]),
      budgetMs: () => values.pick([1, 50, 1000]),
      rerank: () => (values.chance(0.97) ? false : values.pick([true, 'cross', 'vector'])),
      texts: () => Array.from({ length: 1 + values.below(2) }, () => this.text()),
      type: () => values.pick(['index-file', 'index-folder', 'evaluate', 'compact', 'compact', 'number']),
    });
    this.values = values;
  }

  /** Makes the collection of this client. */
  async start(): Promise<void> {
    const body = JSON.stringify({ name: this.own, model: null });
    await this.answer({ method: 'POST', path: '/v1/collections', headers: this.json(), body }, 'start');
  }

  /** @returns the status, or what came instead of one */
  async step(): Promise<string> {
    this.steps++;
    const draw = this.values.random();
    if (draw < 0.08) return this.keep();
    if (draw < 0.16) return this.read();
    if (draw < 0.24) return this.send(this.mcp(), 'mcp');
    if (draw < 0.27) return this.send(this.creation(), 'creation');
    if (draw < 0.28) return this.send(this.task(), 'task');
    const operation = this.operation();
    const asked = this.asked(operation);
    if (draw < 0.85) return this.send(asked, `${operation.method} ${operation.path}`);
    return this.raw(asked);
  }

  private task(): Asked {
    const { values } = this;
    const path = values.pick(this.target.imports);
    const request = values.pick([
      { type: 'compact' },
      { type: 'index-file', path },
      { type: 'index-folder', path },
      { type: 'evaluate', path, depth: 5 },
      ...(values.chance(0.05) ? [{ type: 'snapshot' }] : []),
    ]);
    const collection = values.pick(COLLECTIONS);
    return {
      method: 'POST',
      path: `/v1/collections/${collection}/tasks`,
      headers: this.json(),
      body: JSON.stringify(request),
    };
  }

  /** Of a collection that the other requests name. */
  private creation(): Asked {
    const name = this.values.pick(COLLECTIONS);
    const body = JSON.stringify({ name, model: null, fields: [{ name: 'year', type: 'number' }] });
    return { method: 'POST', path: '/v1/collections', headers: this.json(), body };
  }

  /** Routes that end what others work with, and those that start long work, are rarer. */
  private operation(): Operation {
    for (;;) {
      const operation = this.values.pick(this.operations);
      const { method, path } = operation;
      const isRare = (method === 'DELETE' && path === '/v1/collections/{c}') || path.endsWith('/tasks');
      if (!isRare || this.values.chance(0.25)) return operation;
    }
  }

  private asked({ method, path, parameters, bodies }: Operation): Asked {
    const { values } = this;
    const oddity = values.chance(0.5) ? 0 : 0.1;
    const encoded = (value: unknown) =>
      encodeURIComponent((typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed());
    let filled = path;
    const query: string[] = [];
    for (const parameter of parameters) {
      const value = values.of(parameter.schema, parameter.name, oddity / 2);
      if (parameter.in === 'path') filled = filled.replace(`{${parameter.name}}`, encoded(value));
      else if (values.chance(0.4)) query.push(`${parameter.name}=${encoded(value)}`);
    }
    if (values.chance(oddity / 2)) query.push(`${encoded(values.pick(ODD_STRINGS))}=1`);
    const headers = this.headers();
    const types = Object.keys(bodies);
    const full = query.length > 0 ? `${filled}?${query.join('&')}` : filled;
    if (types.length === 0) return { method, path: full, headers };
    const type = values.pick(types);
    const { body, encoding } = this.body(type, bodies[type]!, oddity);
    return {
      method,
      path: full,
      headers: { ...headers, 'content-type': type, ...(encoding ? { 'content-encoding': encoding } : {}) },
      body,
    };
  }

  private body(
    type: string,
    schema: JsonSchema,
    oddity: number,
  ): { body: string | Buffer; encoding?: string } {
    const { values } = this;
    if (type === 'application/json') {
      const isRow = Object.keys(schema.properties ?? {}).length === 0 && schema.anyOf !== undefined;
      const value = isRow && values.chance(0.8) ? this.row() : values.of(schema, '', oddity);
      return { body: JSON.stringify(value) ?? 'null' };
    }
    const rows = Array.from({ length: 1 + values.below(6) }, () =>
      values.chance(0.85)
        ? JSON.stringify(this.row())
        : values.pick(['{', '[]', '7', '', '{"id":1}', '<p>', 'a,b\n"1']),
    );
    const body = rows.join('\n');
    return values.chance(0.15) ? { body: gzipSync(body), encoding: 'gzip' } : { body };
  }

  private row(): Record<string, unknown> {
    const { values } = this;
    return {
      id: values.chance(0.8) ? `d${values.below(9)}` : values.pick(ODD_STRINGS),
      text: this.text(30),
      ...(values.chance(0.5) ? { year: values.below(3000) } : {}),
      ...(values.chance(0.2) ? { [values.pick(ODD_STRINGS)]: values.any() } : {}),
    };
  }

  private text(most = 6): string {
    return Array.from({ length: 1 + this.values.below(most) }, () => this.values.pick(WORDS)).join(' ');
  }

  /** Mostly the key that may do everything. */
  private headers(): Record<string, string> {
    const { values } = this;
    const { admin, write, read, limited, expired } = this.target.keys;
    const draw = values.random();
    if (draw < 0.8) return { authorization: `Bearer ${admin}` };
    const token = values.pick([
      write,
      read,
      limited,
      expired,
      'wk_00000000_x',
      values.pick(ODD_STRINGS),
      undefined,
    ]);
    if (token === undefined || /[^\t\x20-\x7e]/.test(token)) return {};
    return { authorization: `Bearer ${token}` };
  }

  private json(): Record<string, string> {
    return { authorization: `Bearer ${this.target.keys.admin}`, 'content-type': 'application/json' };
  }

  private mcp(): Asked {
    const { values } = this;
    const index = values.pick([...COLLECTIONS, 'missing', 7]);
    const call = values.pick([
      { method: 'tools/list', params: {} },
      {
        method: 'initialize',
        params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
      },
      { method: 'tools/call', params: { name: 'search', arguments: { query: this.text(), index } } },
      { method: 'tools/call', params: { name: 'get', arguments: { id: `d${values.below(9)}`, index } } },
      {
        method: 'tools/call',
        params: { name: 'explain', arguments: { query: this.text(), id: 'd1', index } },
      },
      { method: 'tools/call', params: { name: 'status', arguments: {} } },
      { method: 'tools/call', params: { name: 'index', arguments: { documents: [this.row()], index } } },
      { method: values.pick(ODD_STRINGS), params: values.any() },
      { method: 'tools/call', params: { name: values.pick(ODD_STRINGS), arguments: values.any() } },
    ]);
    const message = values.chance(0.1) ? values.any() : { jsonrpc: '2.0', id: this.steps, ...call };
    const accept = values.chance(0.9) ? { accept: 'application/json, text/event-stream' } : {};
    return {
      method: values.chance(0.95) ? 'POST' : values.pick(['GET', 'DELETE']),
      path: '/mcp',
      headers: { ...this.headers(), ...accept, 'content-type': 'application/json' },
      body: JSON.stringify(message) ?? '',
    };
  }

  private async send(asked: Asked, name: string): Promise<string> {
    return String((await this.answer(asked, name))?.status ?? 'broken');
  }

  /** Checks what every answer must be. */
  private async answer(asked: Asked, name: string): Promise<Answered | undefined> {
    let answered: Answered;
    try {
      answered = await ask(this.target.served.port, { timeoutMs: HANG_MS, ...asked });
    } catch (error) {
      this.fault(asked, String(error));
      return undefined;
    }
    const { status, text, headers } = answered;
    if (text.includes(this.target.folder)) this.fault(asked, `names a path: ${text.slice(0, 300)}`);
    if (/\n {4}at /.test(text)) this.fault(asked, `has a stack: ${text.slice(0, 300)}`);
    if (status >= 500 && !REFUSALS.includes(status)) this.fault(asked, `${status} ${text.slice(0, 300)}`);
    const type = String(headers['content-type'] ?? '');
    if (status < 400) {
      this.succeeded[name] = (this.succeeded[name] ?? 0) + 1;
      if (asked.method === 'POST' && asked.path.includes('/tasks')) this.tasks.push(JSON.parse(text).id);
    }
    try {
      if (type.includes('ndjson')) for (const line of text.split('\n').filter(Boolean)) JSON.parse(line);
      else if (type.includes('application/json') && text !== '')
        this.checkShape(asked, status, JSON.parse(text));
      else if (status >= 400 && name !== 'mcp') this.fault(asked, `${status} has the type "${type}"`);
    } catch {
      this.fault(asked, `${status} is no JSON: ${text.slice(0, 200)}`);
    }
    return answered;
  }

  private checkShape(
    asked: Asked,
    status: number,
    body: { code?: unknown; message?: unknown; jsonrpc?: unknown },
  ): void {
    if (status < 400 || body.jsonrpc !== undefined) return;
    if (!/^WINNOW_/.test(String(body.code)) || typeof body.message !== 'string')
      this.fault(asked, `${status} has another shape: ${JSON.stringify(body).slice(0, 200)}`);
  }

  private fault(asked: Asked | string, what: string): void {
    const request =
      typeof asked === 'string' ? asked : `${asked.method} ${asked.path} ${String(asked.body ?? '')}`;
    this.faults.push(`seed ${this.seed}, ${this.own}, step ${this.steps}: ${request.slice(0, 500)}: ${what}`);
  }

  /** Writes to the collection of this client and remembers what was acknowledged. */
  private async keep(): Promise<string> {
    const { values } = this;
    const id = `k${values.below(30)}`;
    const path = `/v1/collections/${this.own}/documents`;
    if (values.chance(0.3)) {
      const answered = await this.answer(
        { method: 'DELETE', path: `${path}/${id}`, headers: this.json() },
        'keep',
      );
      if (answered?.status === BUSY) return String(BUSY); // before anything was done
      const isRight = answered?.status === (this.stored.has(id) ? 200 : 404);
      if (!isRight) this.fault(`DELETE ${id}`, `was answered ${answered?.status}`);
      this.stored.delete(id);
      return String(answered?.status ?? 'broken');
    }
    const text = this.text(30);
    const asked = { method: 'POST', path, headers: this.json(), body: JSON.stringify({ id, text }) };
    const answered = await this.answer(asked, 'keep');
    if (answered?.status === 200) this.stored.set(id, text);
    else if (answered?.status !== BUSY)
      this.fault(asked, `was answered ${answered?.status} ${answered?.text}`);
    return String(answered?.status ?? 'broken');
  }

  private async read(): Promise<string> {
    const id = `k${this.values.below(30)}`;
    const path = `/v1/collections/${this.own}/documents/${id}`;
    const answered = await this.answer({ method: 'GET', path, headers: this.json() }, 'read');
    if (answered?.status === BUSY) return String(BUSY);
    const stored = this.stored.get(id);
    const found = answered?.status === 200 ? JSON.parse(answered.text).text : undefined;
    if (found === stored) this.readBack++;
    else this.fault(`GET ${path}`, `read back ${found} with ${answered?.status}, acknowledged was ${stored}`);
    return String(answered?.status ?? 'broken');
  }

  /** Bytes that may be no HTTP at all. The server may close, and answers in the shape of all errors or as asked. */
  private async raw({ method, path, headers = {}, body = '' }: Asked): Promise<string> {
    const { values } = this;
    const head = { host: 'localhost', 'content-length': String(Buffer.byteLength(body)), ...headers };
    const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
    let bytes = Buffer.concat([
      Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`),
      Buffer.from(body as string),
    ]);
    for (let i = values.below(6); i > 0; i--) bytes[values.below(bytes.length)] = values.below(256);
    if (values.chance(0.2)) bytes = bytes.subarray(0, values.below(bytes.length));
    const hangUp = values.chance(0.2);
    const socket = net.connect({ host: '127.0.0.1', port: this.target.served.port });
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => {
      this.fault(bytes.toString('latin1'), `no end after ${HANG_MS} ms`);
      socket.destroy();
    }, HANG_MS);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.on('connect', () => {
      if (hangUp) socket.write(bytes, () => socket.destroy());
      else socket.end(bytes);
    });
    await once(socket, 'close');
    clearTimeout(timer);
    const said = Buffer.concat(chunks).toString('latin1');
    const status = /^HTTP\/1\.1 (\d{3})/.exec(said)?.[1];
    if (status !== undefined && status >= '500' && !REFUSALS.includes(Number(status)))
      this.fault(bytes.toString('latin1'), said.slice(0, 500));
    if (said.includes(this.target.folder)) this.fault(bytes.toString('latin1'), 'names a path');
    return status ?? 'closed';
  }
}

const FILTERS = [
  { year: 3 },
  { year: { gte: 10, lt: 2000 } },
  { or: [{ year: 1 }, { not: { year: 2 } }] },
  { colour: 'red' },
  {},
  { year: {} },
  { and: Array.from({ length: 1500 }, (_, i) => ({ year: i })) },
  JSON.parse(`${'{"not":'.repeat(40)}{"year":1}${'}'.repeat(40)}`),
];
