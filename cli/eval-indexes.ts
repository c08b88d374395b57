import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ingest } from '../app/ingest.ts';
import { fractionRead, openCorpus, repeatedIdError } from '../corpus/open-corpus.ts';
import { DEFAULT_MODEL, openModel } from '../encoder/model-file.ts';
import type { EncoderBackend } from '../encoder/types.ts';
import { WinnowError } from '../errors.ts';
import type { EvaluationDataset } from '../evaluation/dataset.ts';
import { FORMAT_VERSION } from '../indexer/format.ts';
import { isLive } from '../indexer/merge.ts';
import { INDEX_FILE } from '../indexer/storage.ts';
import type { ImpactVector, IndexableSource, WeightVector } from '../indexer/types.ts';
import { indexable } from '../query/indexable.ts';
import { openIndex, type SearchEngine } from '../query/search-engine.ts';
import { defined, type EncoderCliOptions } from './options.ts';

interface EvalIndexesOptions extends EncoderCliOptions {
  readonly cache: string;
  readonly fresh: boolean;
}

/** Which index of a data set is wanted. */
interface EvalIndexSpec {
  /** BM25 alone: no vectors are needed. */
  readonly lexicalOnly: boolean;
  readonly model?: string;
  readonly backend?: EncoderBackend;
  /** Keep only the heaviest terms of each document. */
  readonly terms?: number;
}

/** Rate and time of the run that encoded a kept index. */
interface BuildRecord {
  readonly encodeDocsPerSecond: number;
  /** Absent when an interrupted run was continued: its first part is not known. */
  readonly buildSeconds?: number;
  readonly backend: string;
}

export interface EvalIndex {
  readonly engine: SearchEngine;
  readonly build: BuildRecord | undefined;
}

const BATCH_DOCUMENTS = 256;

/** The kept indexes of evaluated sets: one folder a data set, model and backend, brought up to date when opened. */
export class EvalIndexes {
  private readonly options: EvalIndexesOptions;
  /** Folders that `fresh` has emptied: every system and the explanations open an index, one of them encodes. */
  private readonly emptied = new Set<string>();

  constructor(options: EvalIndexesOptions) {
    this.options = options;
  }

  /** @throws WinnowError WINNOW_EMPTY_CORPUS, and what models, indexes and corpora throw */
  async open(
    dataset: EvaluationDataset,
    { lexicalOnly, terms, ...wanted }: EvalIndexSpec,
    onProgress: (fraction: number) => void,
  ): Promise<EvalIndex> {
    const model = wanted.model ?? this.options.model ?? DEFAULT_MODEL;
    const backend = wanted.backend ?? this.options.backend;
    const encoded = this.encodedFolder(dataset, model, backend);
    // BM25 needs no vectors: use the index with them if it is there, and do not make one for it.
    const words =
      lexicalOnly && (this.isStale(encoded) || !existsSync(join(encoded, INDEX_FILE)))
        ? `${encoded}-words`
        : undefined;
    const whole = await this.openWhole(
      dataset,
      words ?? encoded,
      { model, lexicalOnly: words !== undefined, ...defined({ backend }) },
      onProgress,
    );
    if (terms === undefined) return whole;
    try {
      const folder = `${encoded}-terms${terms}`;
      this.forget(folder);
      return { engine: prunedIndex(whole.engine, folder, model, terms), build: whole.build };
    } finally {
      await whole.engine.close();
    }
  }

  private encodedFolder(
    dataset: EvaluationDataset,
    modelName: string,
    backend: EncoderBackend | undefined,
  ): string {
    const model = openModel(modelName);
    const path = createHash('sha256').update(resolve(dataset.corpusPath)).digest('hex').slice(0, 8);
    const folder = join(
      this.options.cache,
      `${dataset.name}-${path}-${model.name}-${model.hash}-v${FORMAT_VERSION}`,
    );
    // A backend that was asked for must have made the vectors; without one, any will do.
    const fits = backend === undefined || readBuild(folder)?.backend === backend;
    return fits ? folder : `${folder}-${backend}`;
  }

  private async openWhole(
    dataset: EvaluationDataset,
    folder: string,
    options: { model: string; lexicalOnly: boolean; backend?: EncoderBackend },
    onProgress: (fraction: number) => void,
  ): Promise<EvalIndex> {
    this.forget(folder);
    const engine = openIndex(folder, {
      create: true,
      ...options,
      ...defined({ threads: this.options.threads }),
    });
    try {
      const corpus = await openCorpus(dataset.corpusPath, {
        // A data set is measured as it is or not at all.
        onRepeatedId: (repeated) => {
          throw repeatedIdError(repeated, 'WINNOW_BAD_DATASET');
        },
      });
      const report = await ingest(corpus, engine, {
        batchSize: BATCH_DOCUMENTS,
        passages: false,
        deleteMissing: true,
        onBadRow: (error) => {
          if (error.code !== 'WINNOW_EMPTY_TEXT') throw error; // BEIR sets hold a few empty documents
        },
        onProgress: () => onProgress(fractionRead(corpus)),
        stopped: () => false,
      });
      if (engine.stats().documents === 0) {
        throw new WinnowError('WINNOW_EMPTY_CORPUS', 'the data set has no document with text', {
          place: dataset.corpusPath,
        });
      }
      if (report.encoded > 0) {
        await engine.store.merged();
        engine.store.optimize();
        const build: BuildRecord = {
          encodeDocsPerSecond: report.encoded / report.encodeSeconds,
          ...(report.unchanged === 0 ? { buildSeconds: report.encodeSeconds } : {}),
          backend: engine.encoderBackend ?? 'none',
        };
        writeFileSync(join(folder, BUILD_FILE), JSON.stringify(build));
      }
    } catch (error) {
      await engine.close();
      throw error;
    }
    return { engine, build: readBuild(folder) };
  }

  private isStale(folder: string): boolean {
    return this.options.fresh && !this.emptied.has(folder);
  }

  private forget(folder: string): void {
    if (!this.isStale(folder)) return;
    rmSync(folder, { recursive: true, force: true });
    this.emptied.add(folder);
  }
}

const BUILD_FILE = 'build.json';

function readBuild(folder: string): BuildRecord | undefined {
  const file = join(folder, BUILD_FILE);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as BuildRecord) : undefined;
}

/**
 * The index of the same documents with fewer terms each, made of the vectors that `whole` holds: nothing is encoded.
 * Documents that changed since it was made are put in again.
 */
function prunedIndex(whole: SearchEngine, folder: string, model: string, terms: number): SearchEngine {
  const pruned = openIndex(folder, { create: true, model });
  const gone = new Set(pruned.store.sourceIds());
  const { impactScale } = whole.store.settings;
  const generation = whole.generation();
  const changed: IndexableSource[] = [];
  for (const { segment, live } of generation.segments) {
    for (let docId = 0; docId < segment.numDocs; docId++) {
      if (!isLive(live, docId)) continue;
      const id = segment.id(docId);
      gone.delete(id);
      const contentHash = whole.store.sourceHash(id)!;
      if (pruned.store.sourceHash(id) === contentHash) continue;
      const { title, text } = generation.document(segment.docKeys[docId]!)!;
      const vector = heaviestTerms(segment.vector(docId), terms, impactScale);
      changed.push({
        id,
        contentHash,
        documents: [indexable({ id, title, text, metadata: {} }, vector, whole.model)],
      });
    }
  }
  pruned.store.upsert(changed);
  if (gone.size > 0) pruned.store.delete([...gone]);
  pruned.store.optimize();
  return pruned;
}

/** The `count` largest impacts of a vector as weights; of equal ones those with the smaller term ids. */
function heaviestTerms({ termIds, impacts }: ImpactVector, count: number, impactScale: number): WeightVector {
  const kept = Array.from(termIds.keys())
    .sort((a, b) => impacts[b]! - impacts[a]! || a - b)
    .slice(0, count)
    .sort((a, b) => a - b);
  return {
    termIds: Uint16Array.from(kept, (i) => termIds[i]!),
    weights: Float32Array.from(kept, (i) => impacts[i]! * impactScale),
  };
}
