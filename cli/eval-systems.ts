import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { EncoderBackend } from '../encoder/types.ts';
import { WinnowError } from '../errors.ts';
import type { EvaluationDataset } from '../evaluation/dataset.ts';
import type { Setting, SystemSpec } from '../evaluation/grid.ts';
import { type EvaluatedSystem, flops, type SystemFactory, type SystemFacts } from '../evaluation/system.ts';
import { BM25_B, BM25_K1 } from '../query/bm25.ts';
import { QUERY_IDF, type QueryIdf } from '../query/query-weights.ts';
import { FUSIONS, SCANS } from '../query/request.ts';
import type { SearchMode, SearchOptions } from '../query/search-types.ts';
import { Searcher } from '../query/searcher.ts';
import { type EvalIndex, EvalIndexes } from './eval-indexes.ts';
import { defined, ENCODER_BACKENDS, type EncoderCliOptions } from './options.ts';

export interface EvalSystemOptions extends EncoderCliOptions {
  /** Folder that keeps the indexes of evaluated sets, so that a second run encodes nothing. */
  readonly cache: string;
  /** Forget the kept indexes and encode again, once a run. */
  readonly fresh: boolean;
  /** Folder that a system's `model` may be relative to: that of the config. */
  readonly folder?: string;
}

export const defaultEvalCache = (): string =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'winnow', 'eval');

/** What a config may say of a system; checked. */
interface SystemSettings {
  readonly model?: string;
  readonly backend?: EncoderBackend;
  /** Heaviest terms kept of each document. */
  readonly terms?: number;
  readonly fusion?: NonNullable<SearchOptions['fusion']>;
  readonly sparseWeight?: number;
  readonly scan?: NonNullable<SearchOptions['scan']>;
  readonly alpha?: number;
  readonly idf?: QueryIdf;
}

const SETTINGS: Readonly<Record<SearchMode, readonly (keyof SystemSettings)[]>> = {
  sparse: ['model', 'backend', 'terms', 'scan', 'alpha', 'idf'],
  bm25: [],
  hybrid: ['model', 'backend', 'terms', 'fusion', 'sparseWeight', 'scan', 'alpha', 'idf'],
};

export const OWN_SYSTEMS = Object.keys(SETTINGS) as readonly SearchMode[];

/**
 * The systems that Winnow has itself, over one kept index a data set and model. Documents are cut off at the encoder's
 * window and not split into passages, as in the published BEIR figures.
 *
 * @returns what makes a factory of a system of a config; it throws WINNOW_BAD_ARGUMENT for an unknown kind or setting
 */
export function ownSystems(options: EvalSystemOptions): (spec: SystemSpec) => SystemFactory {
  const indexes = new EvalIndexes(options);
  return (spec) => {
    const mode = modeOf(spec);
    const settings = checkSettings(spec, mode, options.folder);
    const { model, backend, terms, fusion, sparseWeight, scan, alpha, idf } = settings;
    const search = defined({ fusion, sparseWeight, scan, alpha, idf });
    return {
      name: spec.name,
      async open(dataset, onProgress) {
        const index = await indexes.open(
          dataset,
          { lexicalOnly: mode === 'bm25', ...defined({ model, backend, terms }) },
          (done) => onProgress?.({ step: 'encode', done: Math.round(done * 100), total: 100 }),
        );
        const { engine } = index;
        const searcher = new Searcher(engine.store, engine.model.query);
        return {
          name: spec.name,
          search: (query, k) => searcher.rank(query.text, mode, k, search),
          explain: (query, id) => oneLine(searcher, mode, query.text, id, defined({ idf })),
          describe: () => facts(index, dataset, mode, settings),
          close: () => engine.close(),
        } satisfies EvaluatedSystem;
      },
    };
  };
}

function modeOf({ kind, name }: SystemSpec): SearchMode {
  const mode = OWN_SYSTEMS.find((known) => known === kind);
  if (mode !== undefined) return mode;
  throw new WinnowError('WINNOW_BAD_ARGUMENT', `unknown kind "${kind}"`, {
    place: `system ${name}`,
    hint: `the kinds are ${OWN_SYSTEMS.join(', ')} and run`,
  });
}

function checkSettings(spec: SystemSpec, mode: SearchMode, folder: string | undefined): SystemSettings {
  const fail = (setting: string, message: string, hint?: string): never => {
    const place = `system ${spec.name}: ${setting}`;
    throw new WinnowError('WINNOW_BAD_ARGUMENT', message, { place, ...defined({ hint }) });
  };
  const known = SETTINGS[mode];
  for (const setting of Object.keys(spec.settings)) {
    if ((known as readonly string[]).includes(setting)) continue;
    fail(
      setting,
      'unknown setting',
      known.length > 0 ? `${mode} has ${known.join(', ')}` : `${mode} has none`,
    );
  }
  const oneOf = <T extends string>(setting: string, values: readonly T[]): T | undefined => {
    const value: Setting | undefined = spec.settings[setting];
    if (value === undefined) return undefined;
    return (
      values.find((allowed) => allowed === value) ??
      fail(setting, `"${value}" is not allowed`, `use ${values.join(', ')}`)
    );
  };
  const { model, terms, alpha, sparseWeight } = spec.settings;
  if (model !== undefined && typeof model !== 'string') fail('model', 'must be a name or a folder');
  if (terms !== undefined && !(Number.isInteger(terms) && Number(terms) >= 1))
    fail('terms', `must be a whole number above 0, not ${terms}`);
  if (alpha !== undefined && !(typeof alpha === 'number' && alpha > 0 && alpha <= 1))
    fail('alpha', `must be above 0 and at most 1, not ${alpha}`);
  if (
    sparseWeight !== undefined &&
    !(typeof sparseWeight === 'number' && sparseWeight >= 0 && sparseWeight <= 1)
  )
    fail('sparseWeight', `must be from 0 to 1, not ${sparseWeight}`);
  return defined({
    model: typeof model === 'string' ? modelPath(model, folder) : undefined,
    backend: oneOf('backend', ENCODER_BACKENDS),
    terms: terms as number | undefined,
    fusion: oneOf('fusion', FUSIONS),
    sparseWeight: sparseWeight as number | undefined,
    scan: oneOf('scan', SCANS),
    alpha: alpha as number | undefined,
    idf: oneOf('idf', QUERY_IDF),
  });
}

function modelPath(model: string, folder = '.'): string {
  const beside = resolve(folder, model);
  return existsSync(join(beside, 'config.json')) ? beside : model;
}

/** Parts of the index that a search in each mode reads; the stored texts are the same for all and left out. */
const SPARSE_PARTS = ['impacts', 'maxima', 'terms', 'forward'];
const WORD_PARTS = ['lexical', 'words'];
const PARTS: Readonly<Record<SearchMode, ReadonlySet<string>>> = {
  sparse: new Set(['documents', ...SPARSE_PARTS]),
  bm25: new Set(['documents', ...WORD_PARTS]),
  hybrid: new Set(['documents', ...SPARSE_PARTS, ...WORD_PARTS]),
};

function facts(
  { engine, build }: EvalIndex,
  dataset: EvaluationDataset,
  mode: SearchMode,
  { terms, fusion = 'weighted', sparseWeight, scan, alpha, idf }: SystemSettings,
): SystemFacts {
  const { documents, postings, bytes } = engine.stats();
  const indexBytes = Object.entries(bytes).reduce(
    (sum, [part, size]) => sum + (PARTS[mode].has(part) ? size : 0),
    0,
  );
  const common: SystemFacts = { documents, indexBytes, memoryBytes: process.memoryUsage().rss };
  if (mode === 'bm25') return { ...common, settings: { k1: BM25_K1, b: BM25_B } };
  const { query: encoder } = engine.model;
  const { segments } = engine.generation();
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
    ...defined({ encodeDocsPerSecond: build?.encodeDocsPerSecond, buildSeconds: build?.buildSeconds }),
    settings: {
      backend: build?.backend ?? 'unknown',
      ...defined({ terms, scan, alpha, idf, sparseWeight, fusion: mode === 'hybrid' ? fusion : undefined }),
    },
  };
}

/** How many contributions a line of explanation names. */
const NAMED = 8;

/** Why a document matched, e.g. `car 4.1, engine 2.0, automobile +3.2`; a hybrid names what each of its searches saw. */
function oneLine(
  searcher: Searcher,
  mode: SearchMode,
  query: string,
  id: string,
  options: Pick<SearchOptions, 'idf'>,
): string {
  switch (mode) {
    case 'sparse':
      return sparseLine(searcher, query, id, options);
    case 'bm25':
      return wordLine(searcher, query, id);
    case 'hybrid':
      return `sparse: ${sparseLine(searcher, query, id, options)}; bm25: ${wordLine(searcher, query, id)}`;
  }
}

/**
 * Contributions by word of the query, with a plus where the model added what matched: `asymptomatic (##ym ##oma) 12.1`
 * when the document has these pieces of the word.
 */
function sparseLine(
  searcher: Searcher,
  query: string,
  id: string,
  options: Pick<SearchOptions, 'idf'>,
): string {
  const words = new Map<string, { pieces: string[]; contribution: number; added: boolean }>();
  for (const { token, word, contribution, origin } of searcher.explain(query, id, {
    ...options,
    syntax: 'plain',
  }).tokens) {
    if (contribution <= 0) continue;
    const name = word.toLowerCase();
    const found = words.get(name) ?? { pieces: [], contribution: 0, added: true };
    found.pieces.push(token);
    found.contribution += contribution;
    found.added &&= origin === 'added';
    words.set(name, found);
  }
  const named = [...words]
    .sort(([, a], [, b]) => b.contribution - a.contribution)
    .slice(0, NAMED)
    .map(([word, { pieces, contribution, added }]) => {
      const matched = pieces.length === 1 && pieces[0] === word ? '' : ` (${pieces.join(' ')})`;
      return `${word}${matched} ${added ? '+' : ''}${contribution.toFixed(1)}`;
    });
  return named.join(', ') || 'nothing';
}

/** Contributions by analysed word, with the number of its occurrences where there are several. */
function wordLine(searcher: Searcher, query: string, id: string): string {
  const named = searcher
    .explainWords(query, id)
    .filter(({ contribution }) => contribution > 0)
    .slice(0, NAMED)
    .map(
      ({ word, frequency, contribution }) =>
        `${word}${frequency > 1 ? ` x${frequency}` : ''} ${contribution.toFixed(1)}`,
    );
  return named.join(', ') || 'nothing';
}
