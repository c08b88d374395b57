import closeWithGrace from 'close-with-grace';
import { type Command, Option } from 'commander';
import { WinnowError } from '../../errors.ts';
import { openIndex } from '../../query/search-engine.ts';
import { LIMITS } from '../../server/limits.ts';
import { createServer, LOG_LEVELS, type LogLevel } from '../../server/server.ts';
import { MAX_SNAPSHOTS } from '../../server/snapshots.ts';
import { addEncoderOptions, defined, type EncoderCliOptions, wholeNumber } from '../options.ts';

interface ServeCliOptions extends EncoderCliOptions {
  readonly index: string;
  readonly port: number;
  readonly host: string;
  readonly log: LogLevel;
  readonly snapshots?: string;
  readonly maxSnapshots?: number;
  readonly bodyIdleMs: number;
  readonly allowHost?: readonly string[];
  readonly allowOrigin?: readonly string[];
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
    .option(
      '--max-snapshots <n>',
      'snapshots that are kept; a new one removes the oldest',
      wholeNumber(1, 10_000),
      MAX_SNAPSHOTS,
    )
    .option(
      '--body-idle-ms <n>',
      'time in which a request body must bring 1 KB more, or end',
      wholeNumber(1, 3_600_000),
      LIMITS.bodyIdleMs as number,
    )
    .option('--allow-host <name...>', 'host names that requests may name besides those of loopback')
    .option('--allow-origin <origin...>', 'origins (https://app.example) whose pages may use the API')
    .addOption(
      new Option('--log [level]', 'least level of log lines on standard error; info has one per request')
        .choices(LOG_LEVELS)
        .preset('info')
        .default('error'),
    );
  addEncoderOptions(command).action(run);
}

async function run(options: ServeCliOptions): Promise<void> {
  const { index, port, host, log, snapshots, maxSnapshots, bodyIdleMs, model, backend, threads } = options;
  const { allowHost: allowHosts, allowOrigin: allowOrigins } = options;
  const engine = openIndex(index, { create: true, ...defined({ model, backend, threads }) });
  const app = await createServer(engine, {
    log,
    bodyIdleMs,
    ...defined({ snapshots, maxSnapshots, allowHosts, allowOrigins }),
  });
  let address: string;
  try {
    address = await app.listen({ port, host });
  } catch (cause) {
    await app.close();
    await engine.close();
    throw new WinnowError('WINNOW_SERVER', `cannot listen: ${(cause as Error).message}`, {
      place: `${host}:${port}`,
      hint: 'choose another --port',
      cause,
    });
  }
  // Only now: it ends a process that has nothing left to do with 0.
  closeWithGrace({ delay: 5000 }, async () => {
    await app.close();
    // Ends an encoding under way; what it was for has not been acknowledged.
    await engine.close();
  });
  console.log(
    `winnow answers on ${address} (${engine.stats().documents.toLocaleString('en')} documents); Ctrl-C stops it`,
  );
}
