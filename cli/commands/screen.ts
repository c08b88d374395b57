import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { openCorpus } from '../../corpus/open-corpus.ts';
import { type CalibratedScreen, calibrateScreen } from '../../encoder/calibrate-screen.ts';
import { SCREEN_FILE, screenOf } from '../../encoder/head-screen.ts';
import { openModel } from '../../encoder/model.ts';
import { encodeWeights } from '../../encoder/transformer/weights-file.ts';
import { wholeNumber } from '../options.ts';
import { printable } from '../printable.ts';

interface ScreenCliOptions {
  readonly model?: string;
  readonly texts: number;
  readonly size: number;
  readonly write?: boolean;
  readonly json?: boolean;
}

export function registerScreen(model: Command): void {
  model
    .command('screen')
    .description(
      'find a small projection that tells which terms a document can have, so that only these are computed exactly; ' +
        'a third of the vocabulary product remains',
    )
    .argument('<corpus...>', 'texts like those that will be encoded: whatever `winnow index` reads')
    .option('--model <name>', 'bundled model or model folder')
    .option('--texts <n>', 'texts of each corpus, evenly taken', wholeNumber(1, 10_000), 60)
    .option('--size <n>', 'numbers of the projection', wholeNumber(16, 4096), 128)
    .option('--write', `write ${SCREEN_FILE} into the model folder`)
    .option('--json', 'print one JSON object')
    .action(run);
}

async function run(paths: readonly string[], options: ScreenCliOptions): Promise<void> {
  const model = openModel(options.model);
  const window = model.config.max_position_embeddings;
  const texts: string[] = [];
  for (const path of paths) texts.push(...(await sample(path, options.texts)));
  const sequences = texts.map((text) => ({ ids: model.tokenizer.encodeWindow(text, window) }));
  const found = await calibrateScreen(model.readWeights({ screen: false }), sequences, {
    size: options.size,
  });
  if (options.write)
    writeFileSync(
      join(model.folder, SCREEN_FILE),
      encodeWeights(new Map([...found.tensors, screenOf(model.weightsHash)])),
    );
  print(found, texts.length, options.json);
}

/** `count` texts of a corpus at equal distances; all where it has fewer. */
async function sample(path: string, count: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const item of await openCorpus(path)) {
    if (!('document' in item)) continue;
    const { title, text } = item.document;
    texts.push(`${title} ${text}`.trim());
  }
  const step = Math.max(1, texts.length / count);
  return Array.from({ length: Math.min(count, texts.length) }, (_, i) => texts[Math.floor(i * step)]!);
}

function print(
  { misses, missedWeight, candidates, margin }: CalibratedScreen,
  texts: number,
  json = false,
): void {
  if (json) {
    console.log(JSON.stringify({ texts, misses, missedWeight, candidates, margin }));
    return;
  }
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  console.log(
    `${printable(String(texts))} texts, of which half were held out: of their terms the screen misses ${percent(misses)}, which have ` +
      `${percent(missedWeight)} of the weight; ${percent(candidates)} of the vocabulary remain to be computed`,
  );
}
