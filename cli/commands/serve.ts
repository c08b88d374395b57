import closeWithGrace from 'close-with-grace';
import { type Command, Option } from 'commander';
import { WinnowError } from '../../errors.ts';
import { openIndex } from '../../query/search-engine.ts';
import { createServer } from '../../server/server.ts';
import { addEncoderOptions, defined, type EncoderCliOptions, wholeNumber } from '../options.ts';

interface ServeCliOptions extends EncoderCliOptions {
  readonly index: string;
  readonly port: number;
  readonly host: string;
  readonly log?: boolean;
  readonly snapshots?: string;
}

export function registerServe(program: Command): void {
  const command = program
    .command('serve')
    .description('answer searches over HTTP on this machine')
    .requiredOption('--index <dir>', 'index folder; created empty when missing')
    .option('--port <n>', 'port (0 = any free one)', wholeNumber(0, 65_535), 7700)
    .addOption(
      new Option('--host <address>', 'loopback address')
        .choices(['127.0.0.1', '::1', 'localhost'])
        .default('127.0.0.1'),
    )
    .option('--snapshots <dir>', 'folder that POST /snapshots writes copies of the index into')
    .option('--log', 'write a log line for each request');
  addEncoderOptions(command).action(run);
}

async function run({
  index,
  port,
  host,
  log = false,
  snapshots,
  model,
  backend,
  threads,
}: ServeCliOptions): Promise<void> {
  const engine = openIndex(index, { create: true, ...defined({ model, backend, threads }) });
  const app = await createServer(engine, { logger: log, ...defined({ snapshots }) });
  closeWithGrace({ delay: 10_000 }, async () => {
    await app.close();
    await engine.close();
  });
  try {
    const address = await app.listen({ port, host });
    console.log(
      `winnow answers on ${address} (${engine.stats().documents.toLocaleString('en')} documents); Ctrl-C stops it`,
    );
  } catch (cause) {
    await engine.close();
    throw new WinnowError('WINNOW_SERVER', `cannot listen: ${(cause as Error).message}`, {
      place: `${host}:${port}`,
      hint: 'choose another --port',
      cause,
    });
  }
}
