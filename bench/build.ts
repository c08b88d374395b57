// From vectors to a durable index on one thread, step by step. Each row names what its rate includes.

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HEADER_KIND, segmentKey } from '../indexer/format/parts.ts';
import { IndexStore } from '../indexer/index-store.ts';
import { forcedMergesOnly } from '../indexer/merge/merge-policy.ts';
import { logGapCost, reorderDocuments } from '../indexer/merge/reorder.ts';
import { buildSegmentContent } from '../indexer/segment/segment-content.ts';
import { buildSegment } from '../indexer/segment/segment-writer.ts';
import { INDEX_FILE } from '../indexer/store/files.ts';
import { openStorage } from '../indexer/store/storage.ts';
import type { IndexableSource } from '../indexer/types.ts';
import { currentCommit, describeMachine } from './machine.ts';
import { type BenchVectors, grow, readBenchVectors } from './vectors.ts';

export interface BuildBenchOptions {
  /** Folder that {@link readBenchVectors} reads. */
  readonly vectors: string;
  /** Documents of a grown collection; default: the collection as it is. */
  readonly documents?: number;
}

export interface BuildBenchRow {
  readonly step: string;
  readonly seconds: number;
  /** Of this process in user and kernel mode: comparable also where other processes share the core. */
  readonly cpuSeconds: number;
  readonly documentsPerSecond: number;
  /** Size of the index file after the step; 0 for steps in memory. */
  readonly fileBytes: number;
  /** log2(gap + 1) per posting, for the steps that change the order of documents. */
  readonly gapBits: number;
  readonly peakRssMB: number;
}

export interface BuildBenchReport {
  readonly machine: string;
  readonly commit: string;
  readonly documents: number;
  readonly postings: number;
  readonly rows: readonly BuildBenchRow[];
}

const BATCH = 57_600;
/** The first round of the segment step also warms up the just-in-time compiler. */
const ROUNDS = 3;
const OPENINGS = 9;
const SETTINGS = { modelName: 'bench', modelHash: 'bench', impactScale: 3 / 255, filterFields: [] };

export async function run(options: BuildBenchOptions): Promise<BuildBenchReport> {
  const real = readBenchVectors(options.vectors);
  const vectors = options.documents === undefined ? real : grow(real, options.documents, 1);
  const documents = vectors.offsets.length - 1;
  const rows: BuildBenchRow[] = [];
  const row: AddRow = (step, { seconds, cpuSeconds }, { fileBytes = 0, gapBits = 0 } = {}) => {
    rows.push({
      step,
      seconds,
      cpuSeconds,
      documentsPerSecond: seconds > 0 ? documents / seconds : 0,
      fileBytes,
      gapBits,
      peakRssMB: process.resourceUsage().maxRSS / 1024,
    });
  };
  await measureSegments(vectors, row);
  await measureStore(vectors, row);
  measureOrder(vectors, row);
  const postings = vectors.offsets[documents]!;
  return { machine: describeMachine(), commit: currentCommit(), documents, postings, rows };
}

type AddRow = (step: string, spent: Spent, figures?: { fileBytes?: number; gapBits?: number }) => void;

async function measureSegments(vectors: BenchVectors, row: AddRow): Promise<void> {
  const rounds: (Spent & { fileBytes: number })[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await inFolder(async (folder) => {
      rounds.push({ ...(await writeSegments(folder, vectors)), fileBytes: fileSize(folder) });
    });
  }
  const best = rounds.reduce((best, one) => (one.seconds < best.seconds ? one : best));
  row(`segments: f32 weights to parts, synced, best of ${ROUNDS}`, best, best);
}

async function measureStore(vectors: BenchVectors, row: AddRow): Promise<void> {
  await inFolder(async (folder) => {
    const figures = () => ({ fileBytes: fileSize(folder) });
    const store = IndexStore.openOrCreate(folder, SETTINGS, {
      mergePolicy: forcedMergesOnly,
      reorderFrom: Number.POSITIVE_INFINITY,
    });
    const spent = { ...NOTHING };
    eachBatch(vectors, (sources) =>
      add(
        spent,
        timed(() => store.upsert(sources)),
      ),
    );
    row('upsert: the same with ids, sources and stored fields', spent, figures());
    const merging = timed(() => store.forceMerge());
    row('merge into as few segments as allowed', merging, figures());
    await store.close();
    row(`open, median of ${OPENINGS}`, await medianOpening(folder), figures());
  });
}

async function medianOpening(folder: string): Promise<Spent> {
  const opened: Spent[] = [];
  for (let i = 0; i < OPENINGS; i++) {
    let store: IndexStore | undefined;
    opened.push(
      timed(() => {
        store = IndexStore.open(folder, { readOnly: true });
      }),
    );
    await store?.close();
  }
  opened.sort((a, b) => a.seconds - b.seconds);
  return opened[OPENINGS >> 1]!;
}

function measureOrder({ offsets, termIds, impacts }: BenchVectors, row: AddRow): void {
  const forward = { rowOffsets: offsets, columnIds: termIds, values: impacts };
  let order: Uint32Array | undefined;
  const reordering = timed(() => {
    order = reorderDocuments(forward);
  });
  row('order as given', NOTHING, { gapBits: logGapCost(forward) });
  row('reorder: recursive graph bisection', reordering, { gapBits: logGapCost(forward, order) });
}

/** Segments alone: quantised, inverted, checksummed, written in one transaction per segment. */
async function writeSegments(folder: string, vectors: BenchVectors): Promise<Spent> {
  const storage = openStorage(folder, { create: true, readOnly: false });
  const spent = { ...NOTHING };
  let number = 1;
  eachBatch(vectors, (sources) => {
    const items = sources.map(({ documents }, i) => ({ docKey: i, item: documents[0]! }));
    const once = timed(() => {
      storage.root.transactionSync(() => {
        const put = (kind: number, bytes: Uint8Array): void => {
          storage.segments.put(
            segmentKey(number, kind),
            Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
          );
        };
        put(HEADER_KIND, buildSegment(buildSegmentContent(items, SETTINGS), put)(number));
      });
    });
    add(spent, once);
    number++;
  });
  await storage.root.close();
  return spent;
}

/** Makes the sources of each batch, which is not part of what is timed, and passes them on. */
function eachBatch(vectors: BenchVectors, use: (sources: readonly IndexableSource[]) => void): void {
  const documents = vectors.offsets.length - 1;
  for (let from = 0; from < documents; from += BATCH) {
    const count = Math.min(BATCH, documents - from);
    use(
      Array.from({ length: count }, (_, i) => {
        const id = String(from + i);
        const [start, end] = [vectors.offsets[from + i]!, vectors.offsets[from + i + 1]!];
        const weights = new Float32Array(end - start);
        for (let p = start; p < end; p++) weights[p - start] = (vectors.impacts[p]! * 3) / 255;
        const vector = { termIds: vectors.termIds.subarray(start, end), weights };
        return {
          id,
          contentHash: 'bench',
          documents: [{ document: { id, title: '', text: '', metadata: {} }, vector, words: [] }],
        };
      }),
    );
  }
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-bench-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const fileSize = (folder: string): number => statSync(join(folder, INDEX_FILE)).size;

interface Spent {
  seconds: number;
  cpuSeconds: number;
}

const NOTHING: Spent = { seconds: 0, cpuSeconds: 0 };

function timed(action: () => unknown): Spent {
  const cpu = process.cpuUsage();
  const started = performance.now();
  action();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

function add(sum: Spent, { seconds, cpuSeconds }: Spent): void {
  sum.seconds += seconds;
  sum.cpuSeconds += cpuSeconds;
}
