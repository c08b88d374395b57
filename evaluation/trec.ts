import { rename, rm, writeFile } from 'node:fs/promises';
import { BLANKS, type Qrels, type Query, textLines } from '../corpus/beir.ts';
import { WinnowError } from '../errors.ts';
import type { Run, ScoredDocument } from './metrics.ts';
import { separateTies } from './tie-order.ts';

/**
 * Reads a TREC run: `query Q0 document rank score tag` separated by blanks, or the four columns
 * `query document rank score`; lines that start with `# ` are comments. The rank is ignored, as trec_eval does. Plain, `.gz` or `.xz`.
 *
 * @throws WinnowError WINNOW_BAD_DATASET with file:line for a malformed line or a document repeated for a query,
 *   WINNOW_NOT_FOUND
 */
export async function readTrecRun(file: string): Promise<Map<string, ScoredDocument[]>> {
  const run = new Map<string, ScoredDocument[]>();
  const seen = new Map<string, Set<string>>();
  for await (const { line, text } of textLines(file)) {
    // Comments, such as the block that ir_metadata puts on top.
    if (/^#(?:\s|$)/.test(text)) continue;
    const fields = text.split(BLANKS).filter(Boolean);
    const bad = (message: string) =>
      new WinnowError('WINNOW_BAD_DATASET', message, { place: `${file}:${line}` });
    if (fields.length !== 6 && fields.length !== 4)
      throw bad(
        `${fields.length} columns, expected "query Q0 document rank score tag" or "query document rank score"`,
      );
    const [queryId, id, score] =
      fields.length === 6 ? [fields[0]!, fields[2]!, fields[4]!] : [fields[0]!, fields[1]!, fields[3]!];
    const value = Number(score);
    if (!Number.isFinite(value)) throw bad(`the score "${score}" is not a finite number`);
    const documents = run.get(queryId) ?? [];
    const ids = seen.get(queryId) ?? new Set();
    run.set(queryId, documents);
    seen.set(queryId, ids);
    if (ids.has(id)) throw bad(`"${id}" was already retrieved for query "${queryId}"`);
    ids.add(id);
    documents.push({ id, score: value });
  }
  if (run.size === 0) throw new WinnowError('WINNOW_BAD_DATASET', 'there is no line in it', { place: file });
  return run;
}

/**
 * Reads topics: TREC's `<top> <num> Number: 301 <title> words <desc> ... </top>` (the title is the query), or one
 * `id <tab> text` per line.
 *
 * @throws WinnowError WINNOW_BAD_DATASET with file:line, WINNOW_NOT_FOUND
 */
export async function readTrecTopics(file: string): Promise<Query[]> {
  const queries = new Map<string, string>();
  const bad = (message: string, line: number) =>
    new WinnowError('WINNOW_BAD_DATASET', message, { place: `${file}:${line}` });
  const add = (id: string, text: string, line: number) => {
    if (id === '' || text === '') throw bad('a topic needs a number and a title', line);
    if (queries.has(id)) throw bad(`the topic "${id}" was already given`, line);
    queries.set(id, text);
  };
  let topic: { line: number; text: string } | undefined;
  for await (const { line, text } of textLines(file)) {
    if (/^\s*<top>/i.test(text)) topic = { line, text: '' };
    else if (topic && /^\s*<\/top>/i.test(text)) {
      const field = (name: string) =>
        new RegExp(`<${name}>\\s*([^<]*)`, 'i').exec(topic!.text)?.[1]?.replace(/\s+/g, ' ').trim() ?? '';
      add(field('num').replace(/^number:\s*/i, ''), field('title').replace(/^topic:\s*/i, ''), topic.line);
      topic = undefined;
    } else if (topic) topic.text += `${text}\n`;
    else {
      const tab = text.indexOf('\t');
      if (tab < 0) throw bad('expected "id <tab> text" or a <top> element', line);
      add(text.slice(0, tab).trim(), text.slice(tab + 1).trim(), line);
    }
  }
  if (topic) throw bad('a <top> element is never closed', topic.line);
  if (queries.size === 0) throw bad('there is no topic in it', 1);
  return [...queries].map(([id, text]) => ({ id, text }));
}

/**
 * An id as a column of a TREC file. Columns are separated by blanks and there is no way to quote one, so an id with a blank
 * would be read as two by every tool.
 *
 * @throws WinnowError WINNOW_BAD_DATASET
 */
function column(id: string, what: 'query' | 'document'): string {
  if (id !== '' && id !== '#' && !BLANKS.test(id)) return id;
  throw new WinnowError(
    'WINNOW_BAD_DATASET',
    `the ${what} id ${JSON.stringify(id)} cannot be in a TREC file`,
    {
      place: `${what} id`,
      hint: 'use ids without blanks, or the JSON report (--report), which holds any id',
    },
  );
}

/**
 * Lines of a run with enough digits that every tool sees the same order: a 32-bit float needs 9. Ties are separated, see
 * {@link separateTies}.
 *
 * @param run documents of a query in the order that the system means
 * @param tag last column; blanks become underscores
 * @throws WinnowError WINNOW_BAD_DATASET for an id that the format cannot hold
 */
export function* formatTrecRun(run: Run, tag: string): Generator<string> {
  const name = tag.replace(/\s+/g, '_') || 'winnow';
  for (const [queryId, documents] of run)
    for (const [index, { id, score }] of separateTies(documents).entries())
      yield `${column(queryId, 'query')} Q0 ${column(id, 'document')} ${index + 1} ${shortestFloat(score)} ${name}\n`;
}

/** Fewest decimal digits (6..9) that read back as the same 32-bit float. */
function shortestFloat(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return text;
  }
  return value.toPrecision(9);
}

/** Writes a run beside its name first and then renames it, so a reader never sees half a run. */
export async function writeTrecRun(file: string, run: Run, tag: string): Promise<void> {
  await writeLines(file, formatTrecRun(run, tag));
}

/** Writes judgements as `query 0 document relevance`. */
export async function writeTrecQrels(file: string, qrels: Qrels): Promise<void> {
  function* lines() {
    for (const [queryId, judged] of qrels)
      for (const [id, relevance] of judged)
        yield `${column(queryId, 'query')} 0 ${column(id, 'document')} ${relevance}\n`;
  }
  await writeLines(file, lines());
}

/** Characters that go to the disk at a time. */
const CHUNK = 65_536;

function* chunks(lines: Iterable<string>): Generator<string> {
  let text = '';
  for (const line of lines) {
    text += line;
    if (text.length < CHUNK) continue;
    yield text;
    text = '';
  }
  yield text;
}

/** Writes beside the name and renames, so that a failure leaves what was there. @throws WinnowError with the file */
async function writeLines(file: string, lines: Iterable<string>): Promise<void> {
  const temporary = `${file}.part`;
  try {
    await writeFile(temporary, chunks(lines));
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {}); // the first fault counts
    if (cause instanceof WinnowError) {
      const { code, message, hint } = cause;
      throw new WinnowError(code, message, { place: file, cause, ...(hint === undefined ? {} : { hint }) });
    }
    throw new WinnowError('WINNOW_STORAGE', `cannot be written: ${(cause as Error).message}`, {
      place: file,
      cause,
    });
  }
}
