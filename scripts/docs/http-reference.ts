import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openIndex } from '../../app/search-index.ts';
import { createServer } from '../../server/server.ts';

/** The parts of a JSON Schema that the page shows. */
interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
}

interface Operation {
  readonly summary: string;
  readonly description: string;
  readonly parameters?: readonly { name: string; in: string; description?: string; schema: Schema }[];
  readonly requestBody?: { content: Readonly<Record<string, { schema: Schema }>> };
  readonly responses: Readonly<Record<string, { content?: Readonly<Record<string, { schema: Schema }>> }>>;
}

const INTRODUCTION = `# HTTP API

Generated from the schemas of the server (\`npm run generate:docs\`); do not edit. The same schemas are at \`GET /openapi.json\`.

\`winnow serve DIR\` listens on 127.0.0.1:7700, has a search page at \`/\` ([page.md](page.md)), and shows this at \`/documentation\`. DIR is a data folder, which holds any number of collections and
is made of an empty or missing folder, or one index folder, which is the collection \`default\`. The routes without \`/v1\` are those of earlier versions: they
answer where one index is served, with the headers \`Deprecation\` and \`Link\` to their successors. Requests and answers are JSON unless a route says otherwise. A field that is not
listed here, or has another type, is an error. Every error is \`{code, message, place?, hint?, suggestion?, requestId}\` with a code of [errors.md](errors.md); \`suggestion\` is the
right name of a misspelt parameter.

Every answer has the header \`x-request-id\`: that of the request, if it has letters, digits, dots and dashes only, or a new one. Once there are keys
(\`winnow key create\`), requests need \`authorization: Bearer KEY\`: scope \`read\` for searches and GET, \`write\` for changes of documents, \`admin\`
for collections, aliases, tasks and snapshots; \`/healthz\`, \`/readyz\`, \`/openapi.json\`, \`/documentation\` and the files of the page need none. \`GET /metrics\` is
Prometheus' text format. See [operations.md](operations.md).

A request that asks for too much (query tokens times hits, filter conditions times documents) is a 400 that names the product and
its limit. Heavy searches run one after another; when 16 of them are queued already, or 16 uploads are being read, the answer is 503 with
\`retry-after\`. A search takes at most 2 s: what it has found by then is the answer, with \`complete: false\`.

\`\`\`sh
curl -s localhost:7700/v1/collections -H 'content-type: application/json' -d '{"name": "notes"}'
curl -s localhost:7700/v1/collections/notes/documents -H 'content-type: application/x-ndjson' --data-binary @documents.jsonl
curl -s localhost:7700/v1/collections/notes/search -H 'content-type: application/json' -d '{"query": "why is the sky blue", "k": 3}'
\`\`\`
`;

/** The page docs/http.md. */
export async function httpReference(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-docs-'));
  const index = openIndex(folder, { create: true, lexicalOnly: true });
  const app = await createServer(index.backend, { log: 'silent' });
  try {
    const { paths } = (await app.inject('/openapi.json')).json() as {
      paths: Record<string, Record<string, Operation>>;
    };
    const sections = Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) =>
        section(`${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`, operation),
      ),
    );
    return `${[INTRODUCTION, ...sections].join('\n')}`;
  } finally {
    await app.close();
    await index.close();
    rmSync(folder, { recursive: true });
  }
}

function section(title: string, { description, parameters = [], requestBody, responses }: Operation): string {
  const body = requestBody?.content['application/json']?.schema;
  const answer = responses['200']?.content?.['application/json']?.schema;
  const asked: Row[] = [
    ...parameters.map(({ name, in: from, description, schema }): Row => {
      const note = `${description ?? ''} (in the ${from === 'path' ? 'path' : 'query string'})`;
      return { name, schema: { ...schema, description: note }, required: from === 'path' };
    }),
    ...rowsOf(body),
  ];
  return [
    `## ${title}`,
    description,
    ...(asked.length > 0 ? [table('request', asked, true)] : []),
    ...(answer ? [table('answer', rowsOf(answer), false)] : []),
    '',
  ].join('\n\n');
}

interface Row {
  readonly name: string;
  readonly schema: Schema;
  readonly required: boolean;
}

/** The properties of an object, those of nested objects with their path: `snippet.parts[].text`. */
function rowsOf(schema: Schema | undefined, prefix = ''): Row[] {
  return Object.entries(schema?.properties ?? {}).flatMap(([name, property]) => {
    const required = schema!.required?.includes(name) ?? false;
    const path = `${prefix}${name}`;
    const nested = property.items ?? property;
    const isFreeForm = typeof property.additionalProperties === 'object';
    const inner = isFreeForm
      ? rowsOf((property.additionalProperties as Schema).items, `${path}.*[].`)
      : rowsOf(nested, property.items ? `${path}[].` : `${path}.`);
    return [{ name: path, schema: property, required }, ...inner];
  });
}

function table(title: string, rows: readonly Row[], withDefault: boolean): string {
  const lines = rows.map(({ name, schema, required }) => {
    const cells = [`\`${name}\``, typeOf(schema), ...(withDefault ? [defaultOf(schema, required)] : [])];
    const note = withDefault || required ? '' : ' (may be absent)';
    return `| ${[...cells, `${schema.description ?? ''}${note}`].map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  const header = withDefault ? `| ${title} | type | default | |` : `| ${title} | type | |`;
  return [header, header.replaceAll(/[^|]+/g, '---'), ...lines].join('\n');
}

const defaultOf = (schema: Schema, required: boolean): string =>
  required ? 'required' : schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``;

function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' or ');
  switch (schema.type) {
    case 'array':
      return `list of ${schema.items?.properties ? 'objects' : schema.items ? typeOf(schema.items) : 'values'}${schema.maxItems ? `, at most ${schema.maxItems}` : ''}`;
    case 'string':
      return schema.maxLength
        ? `text of ${schema.minLength ?? 0} to ${grouped(schema.maxLength)} characters`
        : 'text';
    case 'integer':
    case 'number':
      return `${schema.type}${rangeOf(schema)}`;
    default:
      return schema.type ?? '';
  }
}

function rangeOf({ minimum, exclusiveMinimum, maximum }: Schema): string {
  const low = minimum !== undefined ? `from ${grouped(minimum)}` : '';
  const above = exclusiveMinimum !== undefined ? `above ${exclusiveMinimum}` : '';
  const high = maximum !== undefined ? `to ${grouped(maximum)}` : '';
  const range = [low || above, high].filter(Boolean).join(' ');
  return range ? ` ${range}` : '';
}

const grouped = (value: number): string => value.toLocaleString('en');
