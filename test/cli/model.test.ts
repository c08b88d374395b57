import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openModel } from '../../encoder/model.ts';
import { openCrossEncoderModel } from '../../encoder/rerank/model.ts';
import { readSafetensors } from '../../encoder/transformer/safetensors.ts';
import { decodeWeights } from '../../encoder/transformer/weights-file.ts';
import { storeSettings } from '../../evaluation/calibration/calibrate.ts';
import { randomModel } from '../encoder/random-model.ts';
import { cli } from '../helpers/cli.ts';
import { crossEncoderFolder } from '../helpers/cross-encoder-folder.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { twoOutputFolder } from '../helpers/two-output-folder.ts';

const test = suite('winnow model convert');
const idf = join(openModel().folder, 'idf.json');

/** A checkpoint as Hugging Face stores it: f32 tensors, config.json without `winnow`, tokenizer.json. */
function checkpoint(): string {
  const source = tempFolder();
  const { folder } = openModel();
  const { vocab_size } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  const { config, tensors } = randomModel(7, { vocab_size });
  const { winnow: _, ...published } = config;
  const header: Record<string, object> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const parts = [...tensors.values()].map(({ data }) => Buffer.from(data.buffer, 0, data.byteLength));
  writeFileSync(join(source, 'model.safetensors'), Buffer.concat([length, json, ...parts]));
  writeFileSync(join(source, 'config.json'), JSON.stringify(published));
  cpSync(join(folder, 'tokenizer.json'), join(source, 'tokenizer.json'));
  return source;
}

test('a checkpoint becomes a model folder, also in place', async () => {
  const source = checkpoint();
  const target = join(tempFolder(), 'models', 'mine');
  const converted = await cli('model', 'convert', source, target, '--idf', idf, '--json');
  assert.is(converted.code, 0, converted.stderr);
  const model = openModel(target);
  assert.equal(JSON.parse(converted.stdout), {
    name: 'mine',
    folder: target,
    hash: model.hash,
    kind: 'document encoder',
  });
  assert.equal(model.config.winnow, { activation: 'log1p', exponent: 1, maxWeight: 3 });
  const file = readFileSync(join(source, 'model.safetensors'));
  const written = decodeWeights(readFileSync(join(target, 'weights.winnow')), target);
  assert.equal([...written], [...readSafetensors(file, source)]);
  assert.is(written.get('bert.embeddings.word_embeddings.weight')!.dtype, 'i8');

  const inPlace = await cli('model', 'convert', source, source, '--idf', idf);
  assert.is(inPlace.code, 0, inPlace.stderr);
  assert.match(inPlace.stdout, `2 layers of 32, 30,522 tokens, hash ${model.hash}`);
});

test('what is no checkpoint is refused before a file is written', async () => {
  const target = join(tempFolder(), 'model');
  const missing = await cli('model', 'convert', tempFolder(), target, '--idf', idf);
  assert.is(missing.code, 1);
  assert.match(missing.stderr, /WINNOW_MODEL_NOT_FOUND .*model\.safetensors.*\(the source needs/);
  const damaged = tempFolder();
  mkdirSync(damaged, { recursive: true });
  writeFileSync(join(damaged, 'model.safetensors'), '{"not": "safetensors"}');
  const refused = await cli('model', 'convert', damaged, target, '--idf', idf);
  assert.is(refused.code, 1);
  assert.match(refused.stderr, /WINNOW_MODEL_INVALID .*not a safetensors file/);
  assert.throws(() => rmSync(target), /ENOENT/);
});

/** A collection in which every query names the documents that hold its word. */
function tinyCollection(): string {
  const set = join(tempFolder(), 'tiny');
  mkdirSync(join(set, 'qrels'), { recursive: true });
  const words = ['apple', 'bridge', 'cloud', 'dragon', 'eagle'];
  const lines = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).join('\n');
  writeFileSync(
    join(set, 'corpus.jsonl'),
    lines(words.flatMap((a) => words.map((b) => ({ _id: `${a}-${b}`, title: a, text: `${a} and ${b}` })))),
  );
  writeFileSync(join(set, 'queries.jsonl'), lines(words.map((word) => ({ _id: word, text: word }))));
  const judged = words.map((word, i) => `${word}\t${word}-${words[(i + 1) % 5]}\t1`);
  writeFileSync(join(set, 'qrels', 'test.tsv'), ['query-id\tcorpus-id\tscore', ...judged].join('\n'));
  return set;
}

test('calibrate chooses shares and relevance, and writes them into both folders', async () => {
  const [encoder, reranker] = [twoOutputFolder(3), crossEncoderFolder(4)];
  const set = tinyCollection();
  const command = [
    'model',
    'calibrate',
    set,
    '--model',
    encoder,
    '--reranker',
    reranker,
    '--cache',
    tempFolder(),
  ];
  const { code, stdout, stderr } = await cli(...command, '--json', '--write');
  assert.is(code, 0, stderr);
  const { vector, cross, rows, datasets } = JSON.parse(stdout);
  assert.equal(datasets, ['tiny']);
  assert.is(rows[0].name, 'first ranking');
  const before = openModel(encoder);
  assert.equal(before.config.winnow.vector!.mix, vector.mix);
  assert.equal(before.config.winnow.vector!.relevance, vector.relevance);
  const { mix, cascadeMix, relevance } = openCrossEncoderModel(reranker).config.winnow;
  assert.equal({ mix, relevance, cascadeMix }, cross);
  const shown = await cli(...command);
  assert.is(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /vector, then cross, share/);
  assert.match(shown.stdout, /minRelevance {2}precision/);
});

test('early-exit fits a classifier, says what each share costs, and writes the file that searches use', async () => {
  const [encoder, reranker] = [twoOutputFolder(3), crossEncoderFolder(4)];
  const parts = ['--model', encoder, '--reranker', reranker, '--cache', tempFolder()];
  const command = ['model', 'early-exit', tinyCollection(), ...parts, '--layers', '1', '--depth', '20'];
  const shown = await cli(...command);
  assert.is(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /keep +work +nDCG@10 +tiny/);
  assert.is(openCrossEncoderModel(reranker).config.winnow.earlyExit, undefined);
  const { code, stdout, stderr } = await cli(...command, '--keep', '.25', '--json', '--write');
  assert.is(code, 0, stderr);
  const { rows, correlation } = JSON.parse(stdout);
  assert.ok(correlation > -1.01 && correlation < 1.01);
  assert.equal([rows[0].keep, rows[0].work], [1, 1]);
  assert.ok(Math.abs(rows[3].work - 0.75) < 1e-9, 'half of the layers for all, the other half for half');
  assert.equal(openCrossEncoderModel(reranker).config.winnow.earlyExit, { layers: 1, keep: 0.25 });
  const deep = await cli(...command.slice(0, 3), ...parts, '--layers', '2');
  assert.is(deep.code, 1);
  assert.match(deep.stderr, /WINNOW_BAD_ARGUMENT .*below the 2 layers/);
});

test('settings of queries do not make an index unusable', () => {
  const folder = twoOutputFolder(3);
  const { hash } = openModel(folder);
  storeSettings(folder, ['winnow', 'vector'], { mix: 0.35, relevance: { slope: 3, offset: 1 } });
  assert.is(openModel(folder).hash, hash);
  assert.is(openModel(folder).config.winnow.vector!.mix, 0.35);
  storeSettings(folder, ['winnow'], { exponent: 0.7 });
  assert.is.not(openModel(folder).hash, hash);
});

test('the command without its parts prints how to use it', async () => {
  const bare = await cli('model');
  assert.is(bare.code, 1);
  assert.match(bare.stderr, /convert .*<source> <target>/);
  const help = await cli('model', 'convert', '--help');
  assert.is(help.code, 0, help.stderr);
  assert.match(help.stdout, /--idf <file>/);
});

test.run();
