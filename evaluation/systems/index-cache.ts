import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ingest } from '../../app/ingest.ts';
import { fractionRead, openCorpus, repeatedIdError } from '../../corpus/open-corpus.ts';
import { defined } from '../../defined.ts';
import { DEFAULT_MODEL, openModel } from '../../encoder/model.ts';
import type { EncoderBackend } from '../../encoder/types.ts';
import { WinnowError } from '../../errors.ts';
import { FORMAT_VERSION } from '../../indexer/format/format.ts';
import { INDEX_FILE } from '../../indexer/store/files.ts';
import type { ImpactVector, IndexableSource, WeightVector } from '../../indexer/types.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { openEmbedded } from '../../query/embedded/open-embedded.ts';
import type { EvaluationDataset } from '../dataset.ts';

export interface IndexCacheOptions {
  readonly model?: string;
  readonly backend?: EncoderBackend;
  readonly threads?: number;
  readonly cache: string;
  readonly rebuild: boolean;
}

/** Which index of a data set is wanted. */
interface EvalIndexSpec {
  /** BM25 alone: no vectors are needed. */
  readonly lexicalOnly: boolean;
  readonly model?: string;
  readonly backend?: EncoderBackend;
  /** Keep only the heaviest terms of each document. */
  readonly terms?: number;
  readonly reranker?: string;
  readonly earlyExit?: boolean;
}

type RerankerChoice = Pick<EvalIndexSpec, 'reranker' | 'earlyExit'>;

/** Rate and time of the run that encoded a kept index. */
interface BuildRecord {
  readonly encodeDocsPerSecond: number;
  /** Absent when an interrupted run was continued: its first part is not known. */
  readonly buildSeconds?: number;
  readonly backend: string;
}

export interface EvalIndex {
  readonly index: EmbeddedBackend;
  readonly build: BuildRecord | undefined;
}

const BATCH_DOCUMENTS = 256;

/** The kept indexes of evaluated sets: one folder per data set, model and backend, brought up to date when opened. */
export class IndexCache {
  private readonly options: IndexCacheOptions;
  /** Folders that `rebuild` has emptied. Every system and the explanations open an index, but only the first of them may empty it. */
  private readonly emptied = new Set<string>();

  constructor(options: IndexCacheOptions) {
    this.options = options;
  }

  /** @throws WinnowError WINNOW_EMPTY_CORPUS, and what models, indexes and corpora throw */
  async open(
    dataset: EvaluationDataset,
    { lexicalOnly, terms, reranker, earlyExit, ...wanted }: EvalIndexSpec,
    onProgress: (fraction: number) => void,
  ): Promise<EvalIndex> {
    const model = wanted.model ?? this.options.model ?? DEFAULT_MODEL;
    const backend = wanted.backend ?? this.options.backend;
    const encoded = this.encodedFolder(dataset, model, backend);
    // BM25 needs no vectors: it uses the index with vectors if there is one, and otherwise one of words only.
    const words =
      lexicalOnly && (this.isStale(encoded) || !existsSync(join(encoded, INDEX_FILE)))
        ? `${encoded}-words`
        : undefined;
    const whole = await this.openWhole(
      dataset,
      words ?? encoded,
      { model, lexicalOnly: words !== undefined, ...defined({ backend, reranker, earlyExit }) },
      onProgress,
    );
    if (terms === undefined) return whole;
    try {
      const folder = `${encoded}-terms${terms}`;
      this.forget(folder);
      return {
        index: await prunedIndex(whole.index, folder, { model, ...defined({ reranker, earlyExit }) }, terms),
        build: whole.build,
      };
    } finally {
      await whole.index.close();
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
    // A backend that is named must have made the vectors; otherwise those of any backend will do.
    const fits = backend === undefined || readBuild(folder)?.backend === backend;
    return fits ? folder : `${folder}-${backend}`;
  }

  private async openWhole(
    dataset: EvaluationDataset,
    folder: string,
    options: { model: string; lexicalOnly: boolean; backend?: EncoderBackend } & RerankerChoice,
    onProgress: (fraction: number) => void,
  ): Promise<EvalIndex> {
    this.forget(folder);
    const index = openEmbedded(folder, {
      create: true,
      ...options,
      ...defined({ threads: this.options.threads }),
    });
    try {
      const corpus = await openCorpus(dataset.corpusPath, {
        // A data set is measured as it is, or not at all.
        onRepeatedId: (repeated) => {
          throw repeatedIdError(repeated, 'WINNOW_BAD_DATASET');
        },
      });
      const report = await ingest(corpus, index, {
        batchSize: BATCH_DOCUMENTS,
        passages: false,
        deleteMissing: true,
        onBadRow: (error) => {
          if (error.code !== 'WINNOW_EMPTY_TEXT') throw error; // BEIR sets hold a few empty documents
        },
        onProgress: () => onProgress(fractionRead(corpus)),
        stopped: () => false,
      });
      if (index.stats().documents === 0) {
        throw new WinnowError('WINNOW_EMPTY_CORPUS', 'the data set has no document with text', {
          place: dataset.corpusPath,
        });
      }
      if (report.encoded > 0) {
        await index.finishMerges();
        index.forceMerge();
        const build: BuildRecord = {
          encodeDocsPerSecond: report.encoded / report.encodeSeconds,
          ...(report.unchanged === 0 ? { buildSeconds: report.encodeSeconds } : {}),
          backend: index.encoderBackend ?? 'none',
        };
        writeFileSync(join(folder, BUILD_FILE), JSON.stringify(build));
      }
    } catch (error) {
      await index.close();
      throw error;
    }
    return { index, build: readBuild(folder) };
  }

  private isStale(folder: string): boolean {
    return this.options.rebuild && !this.emptied.has(folder);
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
 * An index of the same documents with fewer terms each, made from the vectors of `whole`: nothing is encoded.
 * Documents that changed since it was made are replaced.
 */
async function prunedIndex(
  whole: EmbeddedBackend,
  folder: string,
  options: { readonly model: string } & RerankerChoice,
  terms: number,
): Promise<EmbeddedBackend> {
  const pruned = openEmbedded(folder, { create: true, ...options });
  const gone = new Set(pruned.sourceIds());
  const wholeHashes = whole.contentHashes([...whole.sourceIds()]);
  const prunedHashes = pruned.contentHashes([...gone]);
  const changed = await whole.raw.reading((contents) => {
    const changed: IndexableSource[] = [];
    for (const { ref, record, vector } of contents.vectors()) {
      const { id } = ref;
      gone.delete(id);
      const contentHash = wholeHashes.get(id)!;
      if (prunedHashes.get(id) === contentHash) continue;
      const { title, text } = record()!;
      const document = { id, title, text, metadata: {} };
      const kept = heaviestTerms(vector, terms, whole.raw.impactScale);
      changed.push({ id, contentHash, documents: [whole.raw.indexableDocument(document, kept)] });
    }
    return changed;
  });
  pruned.raw.write(changed);
  if (gone.size > 0) await pruned.write({ deletes: [...gone] });
  pruned.forceMerge();
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
