import { createRequire } from 'node:module';
import { parse as parseToml, TomlError } from 'smol-toml';
import type * as Yaml from 'yaml';
import type { TextWarning } from './sections.ts';

let loaded: typeof Yaml | undefined;

/**
 * The yaml package, loaded with the first front matter. It is CommonJS that requires built-in modules, which fails when a
 * bundler inlines it into an ES module; bundlers do not follow this call.
 */
function yaml(): typeof Yaml {
  loaded ??= createRequire(import.meta.url)('yaml') as typeof Yaml;
  return loaded;
}

/** A file taken apart into its metadata and its text. */
export interface FrontMatter {
  /** Names and values as parsed, `title` excepted; empty without front matter. */
  readonly values: Readonly<Record<string, unknown>>;
  /** As written, even where YAML reads `title: 2024` as a number; empty without one. */
  readonly title: string;
  readonly body: string;
  /** Lines before the body. */
  readonly lines: number;
  readonly warnings: readonly TextWarning[];
}

type Format = 'yaml' | 'toml' | 'json';
/** Front matter as written in a file; `firstLine` is the line of the file where `source` begins. */
interface Block {
  readonly format: Format;
  readonly source: string;
  readonly firstLine: number;
  readonly bodyStart: number;
}
type Parsed = Pick<FrontMatter, 'values' | 'title' | 'warnings'>;

const FENCES: Readonly<Record<string, { format: Format; closing: readonly string[] }>> = {
  '---': { format: 'yaml', closing: ['---', '...'] },
  '---yaml': { format: 'yaml', closing: ['---', '...'] },
  '---toml': { format: 'toml', closing: ['---'] },
  '---json': { format: 'json', closing: ['---'] },
  '+++': { format: 'toml', closing: ['+++'] },
  ';;;': { format: 'json', closing: [';;;'] },
};

/** Front matter longer than this many characters is not parsed: YAML takes a second for some 200,000. */
const MAX_CHARACTERS = 256_000;

/** A line that begins a field: `name:` of YAML, `name =` or `[table]` of TOML. */
const YAML_FIELD = /^(["']?)([\p{L}_][\p{L}\p{N}_ .-]{0,80})\1[ \t]*:(?=\s|$)/u;
const TOML_FIELD = /^(["']?)([\p{L}\p{N}_.-]{1,80})\1[ \t]*=/u;

/**
 * Takes YAML (`---`), TOML (`+++`) or JSON (`;;;`, or an object in braces) from the start of a text. A slip in it costs
 * at most one value, and is reported: the other fields and the body are kept. What does not look like
 * front matter, such as a text below a rule, stays text.
 */
export function splitFrontMatter(source: string): FrontMatter {
  const none: FrontMatter = { values: {}, title: '', body: source, lines: 0, warnings: [] };
  const block = findBlock(source);
  const parsed = block && parseBlock(block);
  if (!parsed) return none;
  const lines = countLines(source, block.bodyStart);
  return { ...parsed, body: source.slice(block.bodyStart), lines };
}

function findBlock(source: string): Block | undefined {
  if (source.startsWith('{')) return findObject(source);
  const firstEnd = lineEnd(source, 0);
  const fence = FENCES[source.slice(0, firstEnd).replace(/\s+/g, '')];
  if (!fence) return undefined;
  for (let at = firstEnd + 1; at < source.length; ) {
    const end = lineEnd(source, at);
    if (fence.closing.includes(source.slice(at, Math.min(end, at + 100)).trimEnd()))
      return {
        format: fence.format,
        source: source.slice(firstEnd + 1, at),
        firstLine: 2,
        bodyStart: Math.min(source.length, end + 1),
      };
    at = end + 1;
  }
  return undefined;
}

/** An object of JSON at the very start, up to the end of the line of its closing brace. */
function findObject(source: string): Block | undefined {
  if (!/^\{\s{0,100}["}]/.test(source)) return undefined;
  let depth = 0;
  let inString = false;
  for (let at = 0; at < source.length; at++) {
    const char = source[at];
    if (inString) {
      if (char === '\\') at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{') depth++;
    else if (char === '}' && --depth === 0) {
      const end = lineEnd(source, at);
      if (source.slice(at + 1, end).trim() !== '') return undefined;
      return {
        format: 'json',
        source: source.slice(0, at + 1),
        firstLine: 1,
        bodyStart: Math.min(source.length, end + 1),
      };
    }
  }
  return undefined;
}

function lineEnd(source: string, from: number): number {
  const end = source.indexOf('\n', from);
  return end < 0 ? source.length : end;
}

function countLines(source: string, end: number): number {
  let lines = 0;
  for (let at = source.indexOf('\n'); at >= 0 && at < end; at = source.indexOf('\n', at + 1)) lines++;
  return lines;
}

function parseBlock(block: Block): Parsed | undefined {
  if (block.source.length > MAX_CHARACTERS) {
    const message = `the front matter has ${block.source.length} characters, over ${MAX_CHARACTERS} are not read`;
    return { values: {}, title: '', warnings: [{ line: 1, message }] };
  }
  try {
    if (block.format === 'yaml') return parseYaml(block);
    const value: unknown =
      block.format === 'toml'
        ? parseToml(block.source, { integersAsBigInt: 'asNeeded' })
        : JSON.parse(block.source);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return { ...withoutTitle(value as Record<string, unknown>), warnings: [] };
  } catch (error) {
    // JSON.parse says where it stopped only in some versions of Node, and nesting beyond the stack has no place.
    const line = error instanceof TomlError ? error.line : 1;
    const warning = slip(block, line, error as Error);
    if (block.format === 'toml') return salvage(block, TOML_FIELD, parseTomlField, warning);
    return { values: {}, title: '', warnings: [warning] };
  }
}

function slip({ format, firstLine }: Block, line: number, error: Error): TextWarning {
  // yaml counts from the start of the front matter.
  const reason = error.message
    .split('\n')[0]!
    .replace(/ at line \d+, column \d+:?$/, '')
    .slice(0, 120);
  return {
    line: firstLine + line - 1,
    message: `the front matter is not ${format.toUpperCase()}, some of its fields may be missing: ${reason}`,
  };
}

function parseYaml(block: Block): Parsed | undefined {
  const { source } = block;
  // The core schema keeps dates as text, and yaml refuses to blow up nested aliases.
  const document = yaml().parseDocument(source, { schema: 'core', logLevel: 'error', uniqueKeys: false });
  const error = document.errors[0];
  if (error) {
    if (!firstContentLine(source)?.match(YAML_FIELD)) return undefined;
    const warning = slip(block, error.linePos?.[0].line ?? 1, error);
    return salvage(block, YAML_FIELD, parseYamlField, warning);
  }
  const map = document.contents;
  if (!yaml().isMap(map)) return undefined;
  const values = document.toJS() as Record<string, unknown>;
  const repeated = repeatedName(map);
  const warnings = repeated
    ? [
        {
          line: block.firstLine + countLines(source, repeated.at),
          message: `the front matter has "${repeated.name}" twice, the last one counts`,
        },
      ]
    : [];
  return { ...withoutTitle(values, writtenTitle(map, source)), warnings };
}

function firstContentLine(source: string): string | undefined {
  return source.split('\n').find((line) => line.trim() !== '' && !line.startsWith('#'));
}

/** The first name that is there again, and where. */
function repeatedName(map: Yaml.YAMLMap): { name: string; at: number } | undefined {
  const seen = new Set<string>();
  for (const { key } of map.items) {
    const name = String(yaml().isScalar(key) ? key.value : key);
    if (seen.has(name)) return { name, at: yaml().isScalar(key) ? (key.range?.[0] ?? 0) : 0 };
    seen.add(name);
  }
  return undefined;
}

/** The title as written in the file: `1.10` and `[draft]` are titles, not a number and a list. */
function writtenTitle(map: Yaml.YAMLMap, source: string): string | undefined {
  const value = map.items.findLast(({ key }) => yaml().isScalar(key) && key.value === 'title')?.value;
  if (value === null || value === undefined) return undefined;
  if (yaml().isScalar(value)) {
    if (typeof value.value === 'string') return value.value;
    return value.value === null && value.source !== 'null' ? '' : value.source;
  }
  const range = (value as { range?: [number, number, number] }).range;
  return range && source.slice(range[0], range[1]);
}

function withoutTitle(
  { title, ...values }: Record<string, unknown>,
  written?: string,
): { values: Record<string, unknown>; title: string } {
  const text = written ?? (typeof title === 'object' ? JSON.stringify(title ?? '') : String(title ?? ''));
  return { values, title: (text === '""' ? '' : text).replace(/\s+/g, ' ').trim() };
}

/** Reads broken front matter field by field; a value that cannot be parsed is kept as the text written. */
function salvage(
  { source }: Block,
  field: RegExp,
  parseField: (lines: string, name: string) => unknown,
  warning: TextWarning,
): Parsed {
  const fields: { name: string; lines: string[]; text: string[] }[] = [];
  for (const line of source.split(/\r?\n/)) {
    const match = field.exec(line);
    if (match) fields.push({ name: match[2]!, lines: [line], text: [line.slice(match[0].length)] });
    else if (line.trim() !== '' && !line.startsWith('#')) {
      fields.at(-1)?.lines.push(line);
      fields.at(-1)?.text.push(line);
    }
  }
  const values = new Map<string, unknown>();
  let title = '';
  for (const { name, lines, text } of fields) {
    const written = text.join(' ').replace(/\s+/g, ' ').trim();
    const value = parseField(lines.join('\n'), name) ?? written;
    if (name !== 'title') values.set(name, value);
    else title = typeof value === 'string' ? value.replace(/\s+/g, ' ').trim() : written;
  }
  return { values: Object.fromEntries(values), title, warnings: [warning] };
}

function parseYamlField(lines: string, name: string): unknown {
  const document = yaml().parseDocument(lines, { schema: 'core', logLevel: 'error' });
  if (document.errors.length > 0) return undefined;
  const map: unknown = document.toJS();
  return typeof map === 'object' && map !== null ? (map as Record<string, unknown>)[name] : undefined;
}

function parseTomlField(lines: string, name: string): unknown {
  try {
    return parseToml(lines)[name];
  } catch {
    return undefined;
  }
}
