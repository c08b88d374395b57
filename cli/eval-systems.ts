import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { openCorpus } from '../corpus/open-corpus.ts';
import { DEFAULT_MODEL, openModel } from '../encoder/model-file.ts';
import { WinnowError } from '../errors.ts';
import type { EvaluationDataset } from '../evaluation/dataset.ts';
import { type EvaluatedSystem, flops, type SystemFactory, type SystemFacts } from '../evaluation/system.ts';
import { INDEX_FILE } from '../indexer/storage.ts';
import { openIndex, type SearchEngine } from '../query/search-engine.ts';
import { Searcher, type SearchMode } from '../query/searcher.ts';
import { ingest } from './ingest.ts';
import { defined, type EncoderCliOptions } from './options.ts';

export interface EvalIndexOptions extends EncoderCliOptions {
  /** Folder that keeps the indexes of evaluated sets, so that a second run encodes nothing. */
  readonly cache: string;
  /** Forget the kept index and encode again. */
  readonly fresh: boolean;
}

export const defaultEvalCache = (): string =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'winnow', 'eval');

/** Rate and time of the run that encoded a kept index. */
interface BuildRecord {
  readonly encodeDocsPerSecond: number;
  readonly buildSeconds: number;
  readonly backend: string;
}

/**
 * The systems that Winnow has itself, over one index a data set. Documents are cut off at the encoder's window and not
 * split into passages, as in the published BEIR figures.
 */
export function ownSystem(mode: SearchMode, options: EvalIndexOptions): SystemFactory {
  return {
    name: mode,
    async open(dataset, onProgress) {
      const { engine, folder, build } = await openEvalIndex(dataset, mode === 'bm25', options, (done) =>
        onProgress?.({ step: 'encode', done: Math.round(done * 100), total: 100 }),
      );
      const searcher = new Searcher(engine.store, engine.model.query);
      return {
        name: mode,
        search: (query, k) => searcher.rank(query.text, mode, k),
        explain: (query, id) => oneLine(engine, query.text, id),
        describe: () => facts(engine, dataset, mode, folder, build),
        close: () => engine.close(),
      } satisfies EvaluatedSystem;
    },
  };
}

async function openEvalIndex(
  dataset: EvaluationDataset,
  lexicalOnly: boolean,
  options: EvalIndexOptions,
  onProgress: (fraction: number) => void,
): Promise<{ engine: SearchEngine; folder: string; build: BuildRecord | undefined }> {
  const model = openModel(options.model ?? DEFAULT_MODEL);
  const path = createHash('sha256').update(resolve(dataset.corpusPath)).digest('hex').slice(0, 8);
  const encoded = join(options.cache, `${dataset.name}-${path}-${model.name}-${model.hash}`);
  // BM25 needs no vectors: use the index with them if it is there, and do not make one for it.
  const folder =
    lexicalOnly && (options.fresh || !existsSync(join(encoded, INDEX_FILE))) ? `${encoded}-words` : encoded;
  if (options.fresh) rmSync(folder, { recursive: true, force: true });
  const { backend, threads } = options;
  const engine = openIndex(folder, {
    create: true,
    lexicalOnly: folder !== encoded,
    ...defined({ model: options.model, backend, threads }),
  });
  const recordFile = join(folder, 'build.json');
  const report = await ingest(await openCorpus(dataset.corpusPath), engine, {
    batchSize: 256,
    passages: false,
    deleteMissing: true,
    onBadRow: (error) => {
      if (error.code !== 'WINNOW_EMPTY_TEXT') throw error; // BEIR sets hold a few empty documents
    },
    onProgress: (_, fraction) => onProgress(fraction),
    stopped: () => false,
  });
  if (engine.stats().documents === 0) {
    throw new WinnowError('WINNOW_EMPTY_CORPUS', 'the data set has no document with text', {
      place: dataset.corpusPath,
    });
  }
  if (report.encoded > 0) {
    engine.store.optimize();
    const record: BuildRecord = {
      encodeDocsPerSecond: report.encoded / report.encodeSeconds,
      buildSeconds: report.encodeSeconds,
      backend: engine.encoderBackend ?? 'none',
    };
    writeFileSync(recordFile, JSON.stringify(record));
  }
  const build = existsSync(recordFile)
    ? (JSON.parse(readFileSync(recordFile, 'utf8')) as BuildRecord)
    : undefined;
  return { engine, folder, build };
}

function facts(
  engine: SearchEngine,
  dataset: EvaluationDataset,
  mode: SearchMode,
  folder: string,
  build: BuildRecord | undefined,
): SystemFacts {
  const { documents, postings } = engine.stats();
  const { query: encoder } = engine.model;
  const { segments } = engine.generation();
  const common: SystemFacts = {
    documents,
    indexBytes: statSync(join(folder, INDEX_FILE)).size,
    memoryBytes: process.memoryUsage().rss,
  };
  if (mode === 'bm25') return { ...common, settings: { k1: 0.9, b: 0.4 } };
  const queries = dataset.queries.map(({ text }) => encoder.encode(text).termIds);
  const documentFrequency = (termId: number): number =>
    segments.reduce((sum, { segment }) => {
      const list = segment.listOfTerm(termId);
      return list < 0 ? sum : sum + segment.impacts.documentFrequency(list);
    }, 0);
  return {
    ...common,
    termsPerDocument: postings / documents,
    termsPerQuery: queries.reduce((sum, { length }) => sum + length, 0) / Math.max(1, queries.length),
    flops: flops(queries, documentFrequency, documents),
    model: engine.model.name,
    modelHash: engine.model.hash,
    ...(build ? { encodeDocsPerSecond: build.encodeDocsPerSecond, buildSeconds: build.buildSeconds } : {}),
    settings: { backend: build?.backend ?? 'unknown' },
  };
}

/** `car 4.1, engine 2.0, automobile +3.2`: contributions, with a plus where the model added the token. */
function oneLine(engine: SearchEngine, query: string, id: string): string {
  return engine
    .explain(query, id)
    .tokens.filter(({ contribution }) => contribution > 0)
    .slice(0, 8)
    .map(
      ({ token, contribution, origin }) =>
        `${token} ${origin === 'added' ? '+' : ''}${contribution.toFixed(1)}`,
    )
    .join(', ');
}
