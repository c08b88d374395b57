import { type Command, Option } from 'commander';
import pc from 'picocolors';
import { exportVectors, isStandardOutput } from '../../app/exchange/export-vectors.ts';
import { INTERCHANGE_FORMATS, type InterchangeFormat, SIDES, type Side } from '../../app/exchange/formats.ts';
import { checkVectors, importVectors } from '../../app/exchange/import-vectors.ts';
import { defined } from '../../defined.ts';
import { openEmbedded } from '../../query/embedded/open-embedded.ts';
import { indexModelOption, number } from '../options.ts';
import { printable } from '../printable.ts';

interface InterchangeCliOptions {
  readonly index: string;
  readonly format: InterchangeFormat;
  readonly side: Side;
  readonly model?: string;
  readonly maxWeight?: number;
}

/** Bad rows printed in full; the rest are only counted. */
const SHOWN_BAD_ROWS = 20;

const formatOption = (): Option =>
  new Option('--format <name>', "Anserini's JSON vectors, or the Common Index File Format")
    .choices(INTERCHANGE_FORMATS)
    .default('json-vectors');
const sideOption = (): Option =>
  new Option('--side <name>', 'learned weights, or the words and frequencies that BM25 uses')
    .choices(SIDES)
    .default('impacts');

export function registerImport(program: Command): void {
  program
    .command('import')
    .description('index documents that another backend gives as term vectors')
    .argument('<file>', 'file to read, also .gz or .xz; - reads standard input')
    .requiredOption('--index <dir>', 'index folder; created when missing')
    .addOption(formatOption())
    .addOption(sideOption())
    .option('--model <name>', 'model whose vocabulary the terms are from (default: winnow-mini)')
    .option('--max-weight <w>', 'weight that becomes the largest impact, 255 (default: 255)', number(0, 1e9))
    .action(runImport);
}

export function registerExport(program: Command): void {
  program
    .command('export')
    .description('write the documents of an index as term vectors for another backend')
    .argument('<file>', 'file to write; - writes to standard output')
    .requiredOption('--index <dir>', 'index folder')
    .addOption(formatOption())
    .addOption(sideOption())
    .addOption(indexModelOption())
    .action(runExport);
}

async function runImport(
  file: string,
  { index, format, side, model, maxWeight }: InterchangeCliOptions,
): Promise<void> {
  await checkVectors(file, format);
  const backend = openEmbedded(index, { create: true, ...defined({ model }) });
  let bad = 0;
  try {
    const { documents, unknownTerms } = await importVectors(backend.raw, file, {
      format,
      side,
      ...defined({ maxWeight }),
      onBadRow: (error) => {
        if (bad++ < SHOWN_BAD_ROWS) console.error(pc.yellow(printable(`skipped ${error}`)));
      },
    });
    await backend.finishMerges();
    console.log(`${documents.toLocaleString('en')} documents imported into ${printable(index)}`);
    if (unknownTerms.size > 0) {
      const some = [...unknownTerms.keys()].slice(0, 5).join(', ');
      const postings = [...unknownTerms.values()].reduce((sum, count) => sum + count, 0);
      console.error(
        pc.yellow(
          `${unknownTerms.size.toLocaleString('en')} terms are not in the vocabulary of ${printable(backend.raw.modelName)} (${printable(some)}): ` +
            `${postings.toLocaleString('en')} postings left out`,
        ),
      );
    }
    if (bad > 0) {
      console.error(pc.yellow(`${bad.toLocaleString('en')} rows skipped`));
      process.exitCode = 1;
    }
  } finally {
    await backend.close();
  }
}

async function runExport(file: string, { index, format, side, model }: InterchangeCliOptions): Promise<void> {
  const backend = openEmbedded(index, { readOnly: true, ...defined({ model }) });
  try {
    const documents = await exportVectors(backend.raw, file, format, side);
    // Standard output holds the data and nothing else.
    if (isStandardOutput(file)) console.error(`${documents.toLocaleString('en')} documents written`);
    else console.log(`${documents.toLocaleString('en')} documents written to ${printable(file)}`);
  } finally {
    await backend.close();
  }
}
