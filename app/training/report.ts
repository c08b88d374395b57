import { comparePaired, type PairedTest } from '../../evaluation/significance.ts';
import type { Collection, Measurement } from './measure.ts';
import type { TrainingInput } from './types.ts';

/** One collection, measured before and after. */
export interface Comparison {
  readonly before: number;
  readonly after: number;
  readonly test: PairedTest;
}

/** A query whose answers changed. */
export interface ChangedQuery {
  readonly query: string;
  readonly before: number;
  readonly after: number;
  /** Display ids and beginnings of documents that answer it. */
  readonly answers: readonly string[];
}

/**
 * `helped`: better on held-out queries, and chance explains it in fewer than 5 of 100 cases; `not-shown`: better or equal, and it may be
 * chance; `worse`: worse on held-out queries.
 */
export type Verdict = 'helped' | 'not-shown' | 'worse';

/** All that a run found out. */
export interface TrainingReport {
  /** ISO 8601. */
  readonly created: string;
  readonly machine: string;
  readonly target: string;
  readonly input: TrainingInput;
  /** Names of the model that training began with, and of what the new one is compared with. */
  readonly start: string;
  readonly comparedWith: string;
  readonly verdict: Verdict;
  /** Whether the new model is at the target now. */
  readonly replaced: boolean;
  readonly documents: number;
  readonly supervision: {
    readonly kind: 'cut' | 'pairs' | 'clicks';
    readonly badRows: number;
    readonly labelled: number;
    readonly train: number;
    readonly validation: number;
    readonly test: number;
    readonly dropped: number;
  };
  readonly heldOut: Comparison & { readonly bm25: number; readonly documents: number };
  readonly control: Comparison & { readonly documents: number };
  /** Per document of the held-out collection. Absent for rerankers. */
  readonly terms?: { readonly before: number; readonly after: number };
  readonly training: {
    readonly steps: number;
    readonly bestStep: number;
    readonly stoppedEarly: boolean;
    readonly examples: number;
    readonly firstScore?: number | undefined;
    readonly bestScore?: number | undefined;
    readonly losses: readonly number[];
  };
  /** Of the process that ended the run. */
  readonly seconds: { readonly label: number; readonly train: number; readonly measure: number };
  readonly gained: readonly ChangedQuery[];
  readonly lost: readonly ChangedQuery[];
  /** Difference by held-out query. */
  readonly deltas: readonly { readonly text: string; readonly delta: number }[];
}

/** Chance of a difference by luck alone, above which nothing is shown. */
const SIGNIFICANT = 0.05;

export function compare(before: Measurement, after: Measurement): Comparison {
  return {
    before: before.mean,
    after: after.mean,
    test: comparePaired(before.perQuery, after.perQuery),
  };
}

export function verdictOf({ test }: Comparison): Verdict {
  if (test.difference < 0) return 'worse';
  return test.difference > 0 && test.pRandomisation < SIGNIFICANT ? 'helped' : 'not-shown';
}

/** Worse on the control set, and hardly by chance. A model of random weights had nothing to forget: it is compared with BM25. */
const warning = ({ control: { test }, input }: TrainingReport): string => {
  if (!(test.difference < 0 && test.pRandomisation < SIGNIFICANT)) return '';
  return input.fromScratch ? ': BM25 is better there' : ': the model has forgotten something';
};

const signed = (value: number): string => `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(4)}`;
const chance = (p: number): string => (p < 0.0001 ? 'p < 0.0001' : `p = ${p.toFixed(4)}`);

/** What the report says in a few sentences, for the terminal and the top of the page. */
export function summary(report: TrainingReport): string[] {
  const { heldOut, control, verdict, supervision, terms } = report;
  const { difference, pRandomisation, interval95, wins, losses, ties } = heldOut.test;
  const judged =
    supervision.kind === 'cut' ? 'as BM25, vectors and reranker judge them' : 'as people judged them';
  const lines = [
    VERDICTS[verdict],
    `held-out queries (${heldOut.test.queries}, ${judged}): nDCG@10 ${heldOut.before.toFixed(4)} -> ${heldOut.after.toFixed(4)}, ` +
      `${signed(difference)} (95 % ${signed(interval95[0])} to ${signed(interval95[1])}, ${chance(pRandomisation)}; ` +
      `${wins} better, ${losses} worse, ${ties} equal; BM25 ${heldOut.bm25.toFixed(4)})`,
    `control set: nDCG@10 ${control.before.toFixed(4)} -> ${control.after.toFixed(4)}, ${signed(control.test.difference)} ` +
      `(${chance(control.test.pRandomisation)})${warning(report)}`,
  ];
  if (terms) lines.push(`terms per document: ${terms.before.toFixed(1)} -> ${terms.after.toFixed(1)}`);
  return lines;
}

const VERDICTS: Readonly<Record<Verdict, string>> = {
  helped: 'Training helped.',
  'not-shown': 'Training may have helped, but chance explains the difference as well.',
  worse: 'Training did not help: the new model is worse on held-out queries.',
};

/** Queries that are shown of each kind, and answers of each. */
const SHOWN = 10;
const SHOWN_ANSWERS = 3;

/** The held-out queries that gained and lost most, and the difference of all. */
export function changedQueries(
  { queries, sources }: Collection,
  before: Measurement,
  after: Measurement,
): Pick<TrainingReport, 'gained' | 'lost' | 'deltas'> {
  const titles = new Map(sources.map(({ id, documents }) => [id, beginningOf(documents[0]!)]));
  const rows = queries.map(({ id, query, grades }) => {
    const [was, is] = [before.perQuery.get(id) ?? 0, after.perQuery.get(id) ?? 0];
    const best = [...grades].sort(([, a], [, b]) => b - a).slice(0, SHOWN_ANSWERS);
    return {
      delta: is - was,
      row: {
        query,
        before: was,
        after: is,
        answers: best.map(([source]) => `${source}: ${titles.get(source) ?? ''}`),
      },
    };
  });
  const sorted = [...rows].sort((a, b) => b.delta - a.delta);
  return {
    gained: sorted
      .filter(({ delta }) => delta > 0)
      .slice(0, SHOWN)
      .map(({ row }) => row),
    lost: sorted
      .reverse()
      .filter(({ delta }) => delta < 0)
      .slice(0, SHOWN)
      .map(({ row }) => row),
    deltas: rows.map(({ row, delta }) => ({ text: row.query, delta })),
  };
}

const beginningOf = ({ title = '', text }: { title?: string; text: string }): string =>
  (title === '' ? text : title).slice(0, 120);
