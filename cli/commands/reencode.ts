import type { Command } from 'commander';
import pc from 'picocolors';
import { reencodeIndex } from '../../app/reencode.ts';
import { defined } from '../../defined.ts';
import { DEFAULT_MODEL } from '../../encoder/model.ts';
import { addEncoderOptions, type EncoderCliOptions, wholeNumber } from '../options.ts';
import { printable } from '../printable.ts';
import { duration, Progress } from '../progress.ts';

interface ReencodeCliOptions extends EncoderCliOptions {
  readonly index: string;
  readonly model: string;
  readonly batchSize: number;
  readonly json?: boolean;
}

export function registerReencode(program: Command): void {
  const command = program
    .command('reencode')
    .description(
      'encode the documents of an index with another model; the index answers as before until the new one takes its place, and a run that was stopped goes on',
    )
    .requiredOption('--index <dir>', 'index folder')
    .option('--batch-size <n>', 'documents per commit', wholeNumber(1, 10_000), 256)
    .option('--json', 'print one JSON object');
  addEncoderOptions(command).action(run);
}

async function run({ index, batchSize, json, ...encoder }: ReencodeCliOptions): Promise<void> {
  const { model = DEFAULT_MODEL, backend, threads } = encoder;
  const progress = new Progress('encoding again');
  const started = performance.now();
  const stop = new AbortController();
  const interrupt = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort(new Error('interrupted'));
    progress.print('stopping after this batch (press Ctrl-C again to stop at once)');
  };
  process.on('SIGINT', interrupt);
  try {
    const report = await reencodeIndex(index, {
      model,
      batchSize,
      signal: stop.signal,
      ...defined({ backend, threads }),
      onProgress: ({ done, sources, encoded }) =>
        progress.update({ fraction: sources === 0 ? 1 : done / sources, encoded }),
    });
    progress.done();
    const { modelBefore, modelAfter, documents, encoded, unchanged, cut, replaced } = report;
    if (json) console.log(JSON.stringify(report));
    else if (!replaced) console.log(printable(`${index} has the model ${modelAfter} already`));
    else
      console.log(
        printable(
          `${index} has the model ${modelAfter} now instead of ${modelBefore}: ${documents.toLocaleString('en')} documents, ` +
            `${encoded.toLocaleString('en')} encoded by this run, ${unchanged.toLocaleString('en')} sources before it, in ${duration((performance.now() - started) / 1000)}`,
        ),
      );
    if (cut > 0)
      console.error(
        pc.yellow(
          `${cut.toLocaleString('en')} documents are longer than the model reads; index the files anew to have them cut into passages`,
        ),
      );
  } catch (error) {
    progress.done();
    if (!stop.signal.aborted) throw error;
    console.error('interrupted: run the same command to continue; the index is as it was');
    process.exitCode = 130;
  } finally {
    process.off('SIGINT', interrupt);
  }
}
