import closeWithGrace from 'close-with-grace';
import type { Command } from 'commander';
import pc from 'picocolors';
import { FolderWatcher, type WatchUpdate } from '../../app/folder-watcher.ts';
import { openIndex } from '../../app/search-index.ts';
import { defined } from '../../defined.ts';
import type { WinnowError } from '../../errors.ts';
import type { FilterField } from '../../indexer/types.ts';
import { addEncoderOptions, type EncoderCliOptions, filterField, wholeNumber } from '../options.ts';
import { printable } from '../printable.ts';
import { Progress } from '../progress.ts';

interface WatchCliOptions extends EncoderCliOptions {
  readonly index: string;
  readonly filter?: readonly FilterField[];
  readonly followLinks?: boolean;
  readonly passages: boolean;
  readonly vectors: boolean;
  readonly settle: number;
  readonly rescan: number;
}

const BATCH_SIZE = 256;

export function registerWatch(program: Command): void {
  const command = program
    .command('watch')
    .description(
      'keep an index in step with a folder: what is written, renamed or deleted there, until Ctrl-C',
    )
    .argument('<path>', 'folder of Markdown, HTML, text, .jsonl and .csv files, or one such file')
    .requiredOption('--index <dir>', 'index folder of this folder alone; created when missing');
  addEncoderOptions(command)
    .option(
      '--filter <name:type>',
      'metadata field that searches may filter on; repeat for more',
      filterField,
    )
    .option('--follow-links', 'follow symbolic links that lead out of the folder')
    .option(
      '--no-passages',
      "cut long texts off at the encoder's window instead of cutting them into passages",
    )
    .option('--no-vectors', 'keep no document vectors, which reranking uses, of a model that makes them')
    .option(
      '--settle <ms>',
      'a file is read once its size has not changed for so long',
      wholeNumber(10, 600_000),
      500,
    )
    .option('--rescan <minutes>', 'time between readings of everything', wholeNumber(1, 10_000), 10)
    .action(run);
}

async function run(path: string, options: WatchCliOptions): Promise<void> {
  const { index, model, backend, threads, filter, vectors, passages, followLinks, settle, rescan } = options;
  const progress = new Progress('indexing');
  const warn = (error: WinnowError) => progress.print(pc.yellow(printable(String(error))));
  const opened = openIndex(index, {
    create: true,
    vectors,
    ...defined({ model, backend, threads, filterFields: filter }),
  });
  const watcher = new FolderWatcher(path, opened.backend, {
    batchSize: BATCH_SIZE,
    passages,
    corpus: defined({ followLinks }),
    settleMs: settle,
    rescanMs: rescan * 60_000,
    onBadRow: warn,
    onError: warn,
    onProgress: ({ encoded }) => progress.update({ fraction: 0, encoded }),
    onUpdate: (update) => {
      progress.done();
      console.log(updateLine(update, opened.stats().documents));
    },
  });
  // A signal during the first reading ends it after its running batch.
  closeWithGrace({ delay: 30_000 }, async () => {
    await watcher.close();
    await opened.close();
  });
  try {
    await watcher.start();
  } catch (error) {
    await watcher.close();
    await opened.close();
    throw error;
  }
  console.log(printable(`watching ${path}; Ctrl-C ends`));
}

function updateLine({ added, replaced, deleted, kept, badRows }: WatchUpdate, documents: number): string {
  const number = (value: number) => value.toLocaleString('en');
  const counts = [
    `${number(added)} added`,
    `${number(replaced)} replaced`,
    `${number(deleted)} deleted`,
    ...(kept > 0 ? [`${number(kept)} kept, because they may be what cannot be read`] : []),
    ...(badRows > 0 ? [`${number(badRows)} bad rows skipped`] : []),
  ];
  const time = new Date().toTimeString().slice(0, 8);
  return `${time}  ${counts.join(', ')}; the index holds ${number(documents)} documents`;
}
