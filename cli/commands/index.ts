import { type Command, Option } from 'commander';
import pc from 'picocolors';
import { type IngestReport, ingest } from '../../app/ingest.ts';
import type { SearchIndex } from '../../app/search-index.ts';
import type { FieldType } from '../../corpus/document-row.ts';
import {
  type Corpus,
  type CorpusFormat,
  fractionRead,
  openCorpus,
  type RepeatedId,
} from '../../corpus/open-corpus.ts';
import { defined } from '../../defined.ts';
import { WinnowError } from '../../errors.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import type { FilterField } from '../../indexer/types.ts';
import type { SearchBackend } from '../../query/backend.ts';
import { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { addEngineOptions, addShardOptions, type EngineCliOptions, isRemote, openEngine } from '../engine.ts';
import {
  addEncoderOptions,
  type EncoderCliOptions,
  filterField,
  oneCharacter,
  wholeNumber,
} from '../options.ts';
import { printable } from '../printable.ts';
import { duration, Progress } from '../progress.ts';

interface IndexCliOptions extends EncoderCliOptions, EngineCliOptions {
  readonly format?: CorpusFormat;
  readonly idColumn?: string;
  readonly textColumn?: string;
  readonly titleColumn?: string;
  readonly generateIds?: boolean;
  readonly delimiter?: string;
  readonly quotes?: boolean;
  readonly encoding?: string;
  readonly maxLineBytes?: number;
  readonly maxFileBytes?: number;
  readonly followLinks?: boolean;
  readonly filter?: readonly FilterField[];
  readonly batchSize: number;
  readonly strict?: boolean;
  readonly passages: boolean;
  readonly vectors: boolean;
  readonly deleteMissing?: boolean;
}

/** A text is one string in memory, and strings of V8 are at most this long. */
const MAX_BYTES = 500_000_000;
/** Bad rows printed in full; the rest are only counted. */
const SHOWN_BAD_ROWS = 20;

export function registerIndex(program: Command): void {
  const command = program
    .command('index')
    .description(
      'index a BEIR folder, a .jsonl or .csv file, or a folder of these and of Markdown, HTML and text',
    )
    .argument('<path>', 'what to index; - reads standard input, with --format')
    .requiredOption(
      '--index <dir>',
      'index folder, or name of an index of a cluster; made when missing, continued when there',
    );
  addEncoderOptions(addShardOptions(addEngineOptions(command)))
    .addOption(
      new Option('--format <name>', 'kind of input').choices([
        'beir',
        'jsonl',
        'csv',
        'text-folder',
        'text-file',
      ]),
    )
    .option('--id-column <name>', 'CSV or JSONL field with the id')
    .option('--text-column <name>', 'CSV or JSONL field with the text')
    .option('--title-column <name>', 'CSV or JSONL field with the title')
    .option('--generate-ids', 'give rows without an id their line number: line-7')
    .option('--delimiter <char>', 'CSV delimiter (default: detected)', oneCharacter)
    .option('--quotes', 'CSV fields may be quoted (default: detected)')
    .option('--no-quotes', 'CSV quotes are text')
    .option(
      '--encoding <name>',
      'encoding of the files, such as utf-16le or windows-1252 (default: detected)',
    )
    .option('--max-line-bytes <n>', 'longest row (default: 10,000,000)', wholeNumber(1, MAX_BYTES))
    .option('--max-file-bytes <n>', 'largest text file (default: 20,000,000)', wholeNumber(1, MAX_BYTES))
    .option('--follow-links', 'follow symbolic links that lead out of the folder')
    .option(
      '--filter <name:type>',
      'metadata field that searches may filter on; repeat for more',
      filterField,
    )
    .option('--batch-size <n>', 'documents per commit', wholeNumber(1, 10_000), 256)
    .option(
      '--no-passages',
      "cut long texts off at the encoder's window instead of cutting them into passages",
    )
    .option('--no-vectors', 'keep no document vectors, which reranking uses, of a model that makes them')
    .option('--delete-missing', 'delete documents that the input no longer has')
    .option('--strict', 'stop at the first bad row or repeated id')
    .action(run);
}

async function run(path: string, options: IndexCliOptions): Promise<void> {
  const { model, backend, threads, filter, strict = false, vectors } = options;
  const progress = new Progress('indexing');
  const repeated = new RepeatedIds();
  const corpus = await openInput(path, options, progress, repeated);
  const opened = await openEngine(options, {
    create: true,
    vectors,
    ...defined({ model, backend, threads, filterFields: filter }),
  });
  const started = performance.now();
  let stopped = false;
  const interrupt = (): void => {
    if (stopped) process.exit(130);
    stopped = true;
    progress.print('stopping after this batch (press Ctrl-C again to stop at once)');
  };
  process.on('SIGINT', interrupt);
  let shown = 0;
  try {
    const report = await ingest(corpus, opened.backend, {
      batchSize: options.batchSize,
      passages: options.passages,
      deleteMissing: options.deleteMissing ?? false,
      onBadRow: (error: WinnowError) => {
        if (strict) throw error;
        if (shown++ < SHOWN_BAD_ROWS) progress.print(pc.yellow(printable(`skipped ${error}`)));
      },
      onProgress: ({ encoded, unchanged }) =>
        progress.update({
          fraction: fractionRead(corpus),
          encoded,
          ...(unchanged > 0 ? { note: `${unchanged.toLocaleString('en')} unchanged` } : {}),
        }),
      stopped: () => stopped,
    });
    progress.done();
    await waitForMerges(opened, progress);
    const seconds = (performance.now() - started) / 1000;
    printReport(report, repeated, options, (await opened.stats()).documents, seconds);
  } finally {
    process.off('SIGINT', interrupt);
    await opened.close();
  }
}

/** @throws WinnowError before an index folder is made */
async function openInput(
  path: string,
  options: IndexCliOptions,
  progress: Progress,
  repeated: RepeatedIds,
): Promise<Corpus> {
  const { format, idColumn: idField, textColumn: textField, titleColumn: titleField } = options;
  const { generateIds, delimiter, quotes, encoding, maxLineBytes, maxFileBytes, followLinks } = options;
  const { filter, index, strict } = options;
  return openCorpus(path, {
    ...defined({ format, idField, textField, titleField, generateIds, delimiter, quotes, encoding }),
    ...defined({ maxLineBytes, maxFileBytes, followLinks, strict }),
    fieldTypes: fieldTypes(filter ?? (isRemote(options) ? [] : await declaredFields(index))),
    onNotice: ({ place, message }) => progress.print(printable(`${place}: ${message}`)),
    onRepeatedId: (one) => repeated.add(one),
  });
}

async function declaredFields(index: string): Promise<readonly FilterField[]> {
  if (!IndexStore.exists(index)) return [];
  const store = IndexStore.open(index, { readOnly: true });
  try {
    return store.settings.filterFields;
  } finally {
    await store.close();
  }
}

/** The type that CSV cells of each declared field are read as: only numbers and booleans are not text. */
function fieldTypes(fields: readonly FilterField[]): Record<string, FieldType> {
  return Object.fromEntries(
    fields.map(({ name, type }) => [name, type === 'number' || type === 'boolean' ? type : 'text']),
  );
}

/** Counts rows whose id came before, and remembers the first. */
class RepeatedIds {
  count = 0;
  private first: RepeatedId | undefined;

  add(one: RepeatedId): void {
    this.count++;
    this.first ??= one;
  }

  toString(): string {
    const { id, earlier, later } = this.first!;
    const rows = this.count === 1 ? '1 row repeats' : `${this.count.toLocaleString('en')} rows repeat`;
    return `${rows} an id, the last row wins: "${id}" at ${earlier.file}:${earlier.line} and ${later.file}:${later.line}`;
  }
}

function printReport(
  report: IngestReport,
  repeated: RepeatedIds,
  { index, deleteMissing }: IndexCliOptions,
  documents: number,
  seconds: number,
): void {
  const number = (value: number) => value.toLocaleString('en');
  const warn = (text: string) => console.error(pc.yellow(printable(text)));
  const rate =
    report.encoded > 0 ? `, ${(report.encoded / report.encodeSeconds).toFixed(0)} documents/s` : '';
  console.log(
    `${number(report.added)} added, ${number(report.replaced)} replaced, ${number(report.unchanged)} unchanged, ` +
      `${number(report.deleted)} deleted in ${duration(seconds)}${rate}`,
  );
  console.log(`${printable(index)} holds ${number(documents)} documents`);
  if (repeated.count > 0) warn(String(repeated));
  if (report.kept > 0)
    warn(
      `${number(report.kept)} documents are kept although the input lacks them: they may be what could not be read. Fix that and run again`,
    );
  if (report.interrupted && deleteMissing)
    warn('nothing was deleted, because the input was not read to its end');
  if (report.unknownScript > 0)
    warn(
      `${number(report.unknownScript)} documents are in scripts that the model does not know: only their words are searched (--mode bm25, hybrid)`,
    );
  if (report.badRows > 0) {
    warn(`${number(report.badRows)} bad rows were skipped (--strict stops at the first)`);
    process.exitCode = 1;
  }
  if (report.interrupted) {
    console.error('interrupted: run the same command to continue');
    process.exitCode = 130;
  }
}

/** The documents are on disk. A merge that fails only leaves searches somewhat slower. */
async function waitForMerges({ backend }: SearchIndex<SearchBackend>, progress: Progress): Promise<void> {
  // A cluster merges in its own time.
  if (!(backend instanceof EmbeddedBackend)) return;
  try {
    await backend.finishMerges();
  } catch (error) {
    if (!(error instanceof WinnowError)) throw error;
    progress.print(pc.yellow(printable(`the documents are indexed, but merging failed: ${error}`)));
  }
}
