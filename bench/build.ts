// From vectors to a durable index, one thread, step by step: what a rate includes is named in its row.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { contentOf } from '../indexer/batch-content.ts';
import { IndexStore } from '../indexer/index-store.ts';
import { logGapCost, reorderDocuments } from '../indexer/reorder.ts';
import { buildSegment } from '../indexer/segment-builder.ts';
import { INDEX_FILE, openStorage, segmentKey } from '../indexer/storage.ts';
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
  /** Of this process in user and kernel mode: what the step costs on a core that others use too. */
  readonly cpuSeconds: number;
  readonly documentsPerSecond: number;
  /** Size of the index file after the step; 0 for steps in memory. */
  readonly fileBytes: number;
  /** log2(gap + 1) a posting, for the steps that change the order of documents. */
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
  const postings = vectors.offsets[documents]!;
  const rows: BuildBenchRow[] = [];
  const row = (step: string, { seconds, cpuSeconds }: Spent, fileBytes = 0, gapBits = 0): void => {
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

  const rounds: (Spent & { fileBytes: number })[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await inFolder(async (folder) => {
      rounds.push({ ...(await writeSegments(folder, vectors)), fileBytes: fileSize(folder) });
    });
  }
  const best = rounds.reduce((best, one) => (one.seconds < best.seconds ? one : best));
  row(`segments: f32 weights to parts, synced, best of ${ROUNDS}`, best, best.fileBytes);
  await inFolder(async (folder) => {
    const store = IndexStore.openOrCreate(folder, SETTINGS, { reorderFrom: Number.POSITIVE_INFINITY });
    const spent = { ...NOTHING };
    eachBatch(vectors, (sources) =>
      add(
        spent,
        timed(() => store.upsert(sources)),
      ),
    );
    row('upsert: the same with ids, sources and stored fields', spent, fileSize(folder));
    row(
      'merge into as few segments as allowed',
      timed(() => store.optimize()),
      fileSize(folder),
    );
    await store.close();
    const opened: Spent[] = [];
    for (let i = 0; i < OPENINGS; i++) {
      let again: IndexStore | undefined;
      opened.push(
        timed(() => {
          again = IndexStore.open(folder, { readOnly: true });
        }),
      );
      await again?.close();
    }
    opened.sort((a, b) => a.seconds - b.seconds);
    row(`open, median of ${OPENINGS}`, opened[OPENINGS >> 1]!, fileSize(folder));
  });
  const forward = { offsets: vectors.offsets, lists: vectors.termIds, values: vectors.impacts };
  let order = new Uint32Array(0);
  const reorderSpent = timed(() => {
    order = reorderDocuments(forward) as typeof order;
  });
  row('order as given', NOTHING, 0, logGapCost(forward));
  row('reorder: recursive graph bisection', reorderSpent, 0, logGapCost(forward, order));
  return { machine: describeMachine(), commit: currentCommit(), documents, postings, rows };
}

/** Only what a segment is made of: quantised, inverted, checksummed, written in one transaction a segment. */
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
        put(0, buildSegment(contentOf(items, SETTINGS), put)(number));
      });
    });
    add(spent, once);
    number++;
  });
  await storage.root.close();
  return spent;
}

/** Makes the sources of a batch, outside of what is timed, and hands them over. */
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
          contentHash: '',
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
