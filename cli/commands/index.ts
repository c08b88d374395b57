import { type Command, Option } from 'commander';
import pc from 'picocolors';
import { type CorpusFormat, openCorpus } from '../../corpus/open-corpus.ts';
import { WinnowError } from '../../errors.ts';
import type { FilterField } from '../../indexer/types.ts';
import { openIndex, type SearchEngine } from '../../query/search-engine.ts';
import { ingest } from '../ingest.ts';
import { addEncoderOptions, defined, type EncoderCliOptions, filterField, wholeNumber } from '../options.ts';
import { duration, Progress } from '../progress.ts';

interface IndexCliOptions extends EncoderCliOptions {
  readonly index: string;
  readonly format?: CorpusFormat;
  readonly idColumn?: string;
  readonly textColumn?: string;
  readonly titleColumn?: string;
  readonly delimiter?: string;
  readonly filter?: readonly FilterField[];
  readonly batchSize: number;
  readonly strict?: boolean;
  readonly passages: boolean;
  readonly deleteMissing?: boolean;
}

/** Bad rows printed in full; the rest are only counted. */
const SHOWN_BAD_ROWS = 20;

export function registerIndex(program: Command): void {
  const command = program
    .command('index')
    .description('index a BEIR folder, a .jsonl or .csv file, or a folder of Markdown, HTML and text')
    .argument('<path>', 'what to index')
    .requiredOption('--index <dir>', 'index folder; created when missing, continued when there');
  addEncoderOptions(command)
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
    .option('--delimiter <char>', 'CSV delimiter')
    .option(
      '--filter <name:type>',
      'metadata field that searches may filter on; repeat for more',
      filterField,
    )
    .option('--batch-size <n>', 'documents committed at a time', wholeNumber(1, 10_000), 256)
    .option('--no-passages', 'cut long texts off at the window instead of into passages')
    .option('--delete-missing', 'remove documents that the input no longer has')
    .option('--strict', 'stop at the first bad row')
    .action(run);
}

async function run(path: string, options: IndexCliOptions): Promise<void> {
  const { model, backend, threads, filter, strict = false } = options;
  const corpus = await openCorpus(
    path,
    defined({
      format: options.format,
      idField: options.idColumn,
      textField: options.textColumn,
      titleField: options.titleColumn,
      delimiter: options.delimiter,
      strict,
    }),
  );
  const engine = openIndex(options.index, {
    create: true,
    ...defined({ model, backend, threads, filterFields: filter }),
  });
  const started = performance.now();
  const progress = new Progress('indexing');
  let stopped = false;
  const interrupt = (): void => {
    if (stopped) process.exit(130);
    stopped = true;
    progress.print('stopping after this batch (again to stop at once)');
  };
  process.on('SIGINT', interrupt);
  let shown = 0;
  try {
    const report = await ingest(corpus, engine, {
      batchSize: options.batchSize,
      passages: options.passages,
      deleteMissing: options.deleteMissing ?? false,
      onBadRow: (error: WinnowError) => {
        if (strict) throw error;
        if (shown++ < SHOWN_BAD_ROWS) progress.print(pc.yellow(`skipped ${error}`));
      },
      onProgress: ({ encoded, unchanged }, fraction) =>
        progress.update({
          fraction,
          encoded,
          ...(unchanged > 0 ? { note: `${unchanged.toLocaleString('en')} unchanged` } : {}),
        }),
      stopped: () => stopped,
    });
    progress.done();
    await waitForMerges(engine, progress);
    const { documents } = engine.stats();
    const seconds = (performance.now() - started) / 1000;
    const rate =
      report.encoded > 0 ? `, ${(report.encoded / report.encodeSeconds).toFixed(0)} documents/s` : '';
    console.log(
      `${report.added.toLocaleString('en')} added, ${report.replaced.toLocaleString('en')} replaced, ` +
        `${report.unchanged.toLocaleString('en')} unchanged, ${report.deleted.toLocaleString('en')} deleted in ${duration(seconds)}${rate}`,
    );
    console.log(`${options.index} holds ${documents.toLocaleString('en')} documents`);
    if (report.badRows > 0) {
      console.error(
        pc.yellow(
          `${report.badRows.toLocaleString('en')} bad rows were skipped (--strict stops at the first)`,
        ),
      );
      process.exitCode = 1;
    }
    if (report.interrupted) {
      console.error('interrupted: run the same command to go on');
      process.exitCode = 130;
    }
  } finally {
    process.off('SIGINT', interrupt);
    await engine.close();
  }
}

/** The documents are on disk; a merge that fails only leaves searches somewhat slower. */
async function waitForMerges(engine: SearchEngine, progress: Progress): Promise<void> {
  try {
    await engine.store.merged();
  } catch (error) {
    if (!(error instanceof WinnowError)) throw error;
    progress.print(pc.yellow(`the documents are indexed, but merging failed: ${error}`));
  }
}
