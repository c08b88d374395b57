// Puts together a collection of real passages: `npm run bench -- collection --out DIR`.
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { splitPassages } from '../../corpus/passages.ts';
import { openModel } from '../../encoder/model.ts';
import type { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { shuffled } from '../../random.ts';
import { type BenchReport, report } from '../report.ts';
import { linesOf, sourceDocuments } from './documents.ts';
import { type CollectionSource, collectionSources } from './sources.ts';

/** WordPieces of a passage, title and text together. */
const PASSAGE_TOKENS = { least: 40, most: 128 };
/** With a smaller share of letters among the characters that are not blank, it is a table, a drawing or code. */
const LEAST_LETTERS = 0.75;
const SHUFFLE_SEED = 1;
const QUERIES = 2000;

export interface CollectionOptions {
  /** Folder of the collection; packages and passages of sources are kept there. */
  readonly out: string;
  /** Folder of the files that sources name by `text`; without it these sources are left out. */
  readonly texts?: string;
  /** JSON lines with "query", compressed or not: {@link QUERIES} of them, evenly taken, are written to OUT/queries.jsonl. */
  readonly queries?: string;
  /** Only cut these sources into passages, and join nothing. */
  readonly only?: readonly string[];
}

interface SourceRow {
  readonly source: string;
  readonly licence: string;
  readonly passages: number;
}

/**
 * Cuts each source into passages (OUT/sources/NAME.jsonl, kept), and joins them without exact copies: OUT/corpus.jsonl, whose
 * documents have the source as a field, and their WordPieces as OUT/tokens.u16 and OUT/counts.u16.
 */
export async function run({ out, texts, queries, only }: CollectionOptions): Promise<BenchReport<SourceRow>> {
  const sources = collectionSources().filter(
    ({ name, text }) => (only?.includes(name) ?? true) && (texts !== undefined || !text),
  );
  mkdirSync(join(out, 'sources'), { recursive: true });
  mkdirSync(join(out, 'packages'), { recursive: true });
  const { tokenizer } = openModel().query;
  if (queries) await writeQueries(queries, out, tokenizer);
  for (const source of sources) await cutSource(source, out, texts ?? '', tokenizer);
  if (only) return report([]);
  return report(joinSources(sources, out, tokenizer));
}

async function writeQueries(file: string, out: string, tokenizer: WordPieceTokenizer): Promise<void> {
  const lines = await linesOf(file);
  const step = Math.max(1, Math.floor(lines.length / QUERIES));
  const rows = lines
    .filter((_, i) => i % step === 0)
    .slice(0, QUERIES)
    .map((line) => {
      const { query } = JSON.parse(line) as { query: string };
      return `${JSON.stringify({ kind: 'web', tokens: tokenizer.encode(query), text: query })}\n`;
    });
  writeFileSync(join(out, 'queries.jsonl'), rows.join(''));
}

const passagesFile = (out: string, { name }: CollectionSource): string =>
  join(out, 'sources', `${name}.jsonl`);

/** Writes the passages of documents in random order until there are enough, unless that is done. */
async function cutSource(
  source: CollectionSource,
  out: string,
  texts: string,
  tokenizer: WordPieceTokenizer,
): Promise<void> {
  const target = passagesFile(out, source);
  if (existsSync(target)) return;
  const readers = await sourceDocuments(source, { packages: join(out, 'packages'), texts });
  const countTokens = (text: string) => tokenizer.count(text);
  const seen = new Set<string>();
  const partial = openSync(`${target}.partial`, 'w');
  for (const read of shuffled(readers, SHUFFLE_SEED)) {
    if (seen.size >= (source.most ?? Number.POSITIVE_INFINITY)) break;
    const document = await read();
    if (!document) continue;
    const { id, sections } = document;
    const cut = splitPassages(
      { ...document, metadata: {} },
      { countTokens, maxTokens: PASSAGE_TOKENS.most, overlapTokens: 0 },
      sections,
    );
    for (const { title, text, passage } of cut) {
      if (seen.has(text) || !isProse(text)) continue;
      const tokens = countTokens(`${title} ${text}`);
      if (tokens < PASSAGE_TOKENS.least || tokens > PASSAGE_TOKENS.most) continue;
      seen.add(text);
      const row = {
        _id: `${source.name}/${id}#${passage ?? 0}`,
        title,
        text: text.trim(),
        metadata: { source: source.name },
      };
      writeSync(partial, `${JSON.stringify(row)}\n`);
    }
  }
  closeSync(partial);
  renameSync(`${target}.partial`, target);
}

function isProse(text: string): boolean {
  const solid = text.replace(/\s/g, '').length;
  const letters = text.replace(/[^\p{L}]/gu, '').length;
  return letters >= LEAST_LETTERS * solid;
}

function joinSources(
  sources: readonly CollectionSource[],
  out: string,
  tokenizer: WordPieceTokenizer,
): SourceRow[] {
  const seen = new Set<string>();
  const corpus = openSync(join(out, 'corpus.jsonl'), 'w');
  const tokens = openSync(join(out, 'tokens.u16'), 'w');
  const counts: number[] = [];
  const rows: SourceRow[] = [];
  for (const source of sources) {
    const before = counts.length;
    for (const line of readFileSync(passagesFile(out, source), 'utf8').split('\n')) {
      if (line === '') continue;
      const { title, text } = JSON.parse(line) as { title: string; text: string };
      const digest = createHash('sha256').update(text.replace(/\s+/g, ' ')).digest('base64');
      if (seen.has(digest)) continue;
      seen.add(digest);
      const ids = Uint16Array.from(tokenizer.encode(`${title} ${text}`.trim()));
      writeSync(corpus, `${line}\n`);
      writeSync(tokens, ids);
      counts.push(ids.length);
    }
    rows.push({ source: source.name, licence: source.licence, passages: counts.length - before });
  }
  closeSync(corpus);
  closeSync(tokens);
  writeFileSync(join(out, 'counts.u16'), Uint16Array.from(counts));
  return rows;
}
