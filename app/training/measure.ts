import { rmSync } from 'node:fs';
import type { Qrels } from '../../corpus/beir.ts';
import { defined } from '../../defined.ts';
import type { TrainingStage } from '../../encoder/training/types.ts';
import { evaluateRun, type ScoredDocument } from '../../evaluation/metrics.ts';
import { parseStoredId } from '../../indexer/format/stored-id.ts';
import type { IndexableSource, SourceDocument } from '../../indexer/types.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { openEmbedded } from '../../query/embedded/open-embedded.ts';

/** A query with the grades of sources. */
export interface MeasuredQuery {
  readonly id: string;
  readonly query: string;
  /** Source id -> grade above 0. */
  readonly grades: ReadonlyMap<string, number>;
  /** Source that does not count as a hit: the one that the query was cut out of. */
  readonly hidden?: string | undefined;
}

/** Documents and queries that models are compared on. */
export interface Collection {
  readonly sources: readonly SourceDocument[];
  readonly queries: readonly MeasuredQuery[];
}

/** Passages of a collection. */
export const documentsOf = ({ sources }: Collection): number =>
  sources.reduce((sum, { documents }) => sum + documents.length, 0);

/** Model folders that a collection is searched with. */
export interface MeasuredModels {
  /** Document encoder. Default: the bundled one. */
  readonly model?: string | undefined;
  /** Cross-encoder, for the stage `rerank`. */
  readonly reranker?: string | undefined;
  readonly threads?: number | undefined;
  /** An open index that has the documents; what the same model has encoded is copied out of it. */
  readonly encoded?: EmbeddedBackend | undefined;
}

/** `bm25` needs no model. */
export type MeasuredStage = TrainingStage | 'bm25';

export interface Measurement {
  /** nDCG@10 by query id. */
  readonly perQuery: ReadonlyMap<string, number>;
  readonly mean: number;
  /** Terms with a weight per document; absent where no document was encoded. */
  readonly termsPerDocument?: number;
}

const METRIC = 'ndcg@10';
const BATCH = 128;
/** Documents per query: several passages of a source count once. */
const DEPTH = 50;

/**
 * Encodes a collection with a model and measures nDCG@10 of its queries, by the search that the stage trains for.
 *
 * @param folder for the index, made anew and removed afterwards
 * @param stages measured with the one index
 * @throws the signal's reason when it is aborted; WinnowError of the models
 */
export async function measure<Stage extends MeasuredStage>(
  { sources, queries }: Collection,
  stages: readonly Stage[],
  { model, reranker, threads, encoded }: MeasuredModels,
  folder: string,
  signal?: AbortSignal,
): Promise<Readonly<Record<Stage, Measurement>>> {
  rmSync(folder, { recursive: true, force: true });
  const lexicalOnly = stages.every((stage) => stage === 'bm25');
  const index = openEmbedded(folder, {
    create: true,
    lexicalOnly,
    ...defined({ model, reranker, threads }),
  });
  try {
    const known =
      encoded?.modelHash === index.modelHash ? await copyEncoded(encoded, index, sources) : new Set();
    const left = sources.filter(({ id }) => !known.has(id));
    for (let at = 0; at < left.length; at += BATCH) {
      signal?.throwIfAborted();
      await index.write({ upserts: left.slice(at, at + BATCH) });
    }
    const { postings, documents } = index.stats();
    const measured: Partial<Record<Stage, Measurement>> = {};
    for (const stage of stages)
      measured[stage] = {
        ...(await ndcgOfStage(index, queries, stage, signal)),
        ...(lexicalOnly || documents === 0 ? {} : { termsPerDocument: postings / documents }),
      };
    return measured as Record<Stage, Measurement>;
  } finally {
    await index.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Copies the wanted sources with their weights. @returns those that were there */
async function copyEncoded(
  from: EmbeddedBackend,
  to: EmbeddedBackend,
  sources: readonly SourceDocument[],
): Promise<Set<string>> {
  const wanted = new Map(sources.map((source) => [source.id, source]));
  const copied = new Set<string>();
  await from.raw.reading((contents) => {
    let batch: IndexableSource[] = [];
    const flush = (): void => {
      to.raw.write(batch);
      batch = [];
    };
    for (const { id, documents } of contents.sources()) {
      const source = wanted.get(id);
      if (!source) continue;
      if (documents.length !== source.documents.length) continue;
      const { contentHash } = source;
      const numbered = documents.map((one, i) => ({
        ...one,
        document: { ...one.document, ...defined({ passage: source.documents[i]!.passage }) },
      }));
      batch.push({ id, contentHash, documents: numbered });
      copied.add(id);
      if (batch.length === BATCH) flush();
    }
    if (batch.length > 0) flush();
  });
  return copied;
}

async function ndcgOfStage(
  index: EmbeddedBackend,
  queries: readonly MeasuredQuery[],
  stage: MeasuredStage,
  signal: AbortSignal | undefined,
): Promise<Pick<Measurement, 'perQuery' | 'mean'>> {
  const run = new Map<string, ScoredDocument[]>();
  for (const { id, query, hidden } of queries) {
    signal?.throwIfAborted();
    const docs =
      stage === 'vector' || stage === 'rerank'
        ? await index.rankReranked(query, 'sparse', DEPTH, {
            rerank: stage === 'vector' ? 'vector' : 'cross',
          })
        : index.rank(query, stage === 'bm25' ? 'bm25' : 'sparse', DEPTH, { rerank: false });
    const hits = docs.map(({ id, score }) => ({ id: parseStoredId(id).id, score }));
    run.set(
      id,
      hits.filter((hit) => hit.id !== hidden),
    );
  }
  const qrels: Qrels = new Map(queries.map(({ id, grades }) => [id, grades]));
  return evaluateRun(run, qrels, [METRIC]).get(METRIC)!;
}
