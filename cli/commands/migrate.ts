import type { Command } from 'commander';
import {
  type MigrationReport,
  type MigrationSource,
  type MigrationTarget,
  migrate,
} from '../../app/migrate.ts';
import { openOpenSearch } from '../../backends/opensearch/open-opensearch.ts';
import type { OpenSearchBackend } from '../../backends/opensearch/opensearch-backend.ts';
import { defined } from '../../defined.ts';
import { WinnowError } from '../../errors.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import type { IndexSettings } from '../../indexer/types.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { LEXICAL_ONLY, openEmbedded } from '../../query/embedded/open-embedded.ts';
import { addClusterOptions, addShardOptions, clusterOptions, type EngineCliOptions } from '../engine.ts';
import { indexModelOption } from '../options.ts';
import { printable } from '../printable.ts';
import { Progress } from '../progress.ts';

interface MigrateCliOptions extends Omit<EngineCliOptions, 'engine'> {
  readonly folder: string;
  readonly to: 'folder' | 'cluster';
  readonly model?: string;
}

export function registerMigrate(program: Command): void {
  const command = program
    .command('migrate')
    .description('copy an index from its folder to a cluster or back, without encoding anything again')
    .argument('<to>', 'where to: cluster or folder')
    .requiredOption('--folder <dir>', 'index folder')
    .requiredOption('--index <name>', 'index of the cluster')
    .addOption(indexModelOption());
  addShardOptions(addClusterOptions(command)).action((to: string, options: MigrateCliOptions) => {
    if (to === 'cluster' || to === 'folder') return run({ ...options, to });
    throw new WinnowError('WINNOW_BAD_ARGUMENT', `"${to}" is no place for an index`, {
      place: 'to',
      hint: 'name cluster or folder',
    });
  });
}

async function run(options: MigrateCliOptions): Promise<void> {
  const { folder, index, to, model } = options;
  const progress = new Progress('migrating');
  const toCluster = to === 'cluster';
  const cluster = (settings?: IndexSettings): Promise<OpenSearchBackend> =>
    openOpenSearch(index, {
      ...clusterOptions(options),
      ...(settings ? sameSettings(settings) : {}),
      ...defined({ model }),
    });
  const embedded = (settings?: IndexSettings): EmbeddedBackend =>
    openEmbedded(
      folder,
      settings
        ? { ...sameSettings(settings), ...defined({ model }) }
        : { readOnly: true, ...defined({ model }) },
    );
  const local = toCluster ? embedded() : undefined;
  const remote = await cluster(local && (await settingsOf(folder)));
  const here = local ?? embedded(remote.settings);
  try {
    const { sources } = await (toCluster ? here : remote).stats();
    const onProgress = (done: number): void =>
      progress.update({ fraction: done / Math.max(1, sources), encoded: done });
    const there: MigrationSource & MigrationTarget = {
      backend: remote,
      sources: () => remote.encodedSources(),
      put: (sources) => remote.putEncoded(sources),
    };
    const report = toCluster
      ? await here.raw.reading(({ sources }) => migrate({ backend: here, sources }, there, onProgress))
      : await migrate(there, { backend: here, put: (sources) => here.raw.write(sources) }, onProgress);
    progress.done();
    print(report, toCluster ? [folder, index] : [index, folder]);
  } finally {
    await Promise.all([remote.close(), here.close()]);
  }
}

const sameSettings = ({ modelName, modelHash, filterFields, vectorSize }: IndexSettings) => ({
  create: true,
  model: modelName,
  filterFields,
  lexicalOnly: modelHash === LEXICAL_ONLY,
  vectors: vectorSize !== undefined,
});

async function settingsOf(folder: string): Promise<IndexSettings> {
  const store = IndexStore.open(folder, { readOnly: true });
  try {
    return store.settings;
  } finally {
    await store.close();
  }
}

function print(report: MigrationReport, [from, to]: readonly string[]): void {
  const { written, unchanged, documents, compared, different } = report;
  const number = (value: number) => value.toLocaleString('en');
  console.log(`${number(written)} sources written, ${number(unchanged)} unchanged`);
  console.log(
    `${printable(from!)} has ${number(documents.source)} documents, ${printable(to!)} ${number(documents.target)}`,
  );
  console.log(`scores of ${compared - different.length} of ${compared} sampled queries are equal`);
  for (const query of different) console.log(`  differs: ${printable(query)}`);
  if (documents.source !== documents.target || different.length > 0) process.exitCode = 1;
}
