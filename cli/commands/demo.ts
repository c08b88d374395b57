import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import pc from 'picocolors';
import { ingest } from '../../app/ingest.ts';
import { openIndex } from '../../app/search-index.ts';
import { fractionRead, openCorpus } from '../../corpus/open-corpus.ts';
import { defined } from '../../defined.ts';
import { packageRoot } from '../../package-root.ts';
import { addEncoderOptions, type EncoderCliOptions } from '../options.ts';
import { duration, Progress } from '../progress.ts';
import { renderHit } from '../render.ts';

interface DemoQuery {
  readonly query: string;
  readonly note?: string;
}

export function registerDemo(program: Command): void {
  const command = program
    .command('demo')
    .description('index the textbook passages that come with winnow and answer a few queries')
    .addOption(
      new Option('--index <dir>', 'where the demo index goes').default(
        join(packageRoot, '.demo'),
        '.demo beside winnow',
      ),
    );
  addEncoderOptions(command).action(run);
}

async function run({ index: folder, ...encoder }: EncoderCliOptions & { index: string }): Promise<void> {
  const corpus = await openCorpus(join(packageRoot, 'demo', 'corpus.jsonl'));
  const queries = JSON.parse(readFileSync(join(packageRoot, 'demo', 'queries.json'), 'utf8')) as DemoQuery[];
  const index = openIndex(folder, { create: true, ...defined(encoder) });
  const progress = new Progress('indexing the demo corpus');
  const started = performance.now();
  try {
    const report = await ingest(corpus, index.backend, {
      batchSize: 64,
      passages: true,
      deleteMissing: true,
      onBadRow: (error) => {
        throw error;
      },
      onProgress: ({ encoded }) => progress.update({ fraction: fractionRead(corpus), encoded }),
      stopped: () => false,
    });
    progress.done();
    const { documents } = index.stats();
    const seconds = duration((performance.now() - started) / 1000);
    const how = report.encoded > 0 ? `indexed in ${seconds}` : 'already indexed';
    console.log(`${documents.toLocaleString('en')} passages from OpenStax textbooks (CC BY 4.0), ${how}\n`);
    index.search(queries[0]!.query); // the first search opens the segments; show what the following ones cost
    for (const { query, note } of queries) {
      const { hits, tookUs } = index.search(query, { k: 3, explain: true });
      console.log(
        `${pc.inverse(` ${query} `)}  ${pc.dim(`${tookUs.toFixed(0)} µs${note ? ` · ${note}` : ''}`)}`,
      );
      hits.forEach((hit, i) => {
        console.log(renderHit(hit, i + 1));
      });
      console.log('');
    }
    console.log('Next: npm run winnow -- index YOUR_FOLDER --index my-index');
  } finally {
    await index.close();
  }
}
