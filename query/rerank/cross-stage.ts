import type { Deadline } from '../deadline.ts';
import type { FoundDoc, FoundQuery } from '../retrieve/retriever.ts';
import { mixture } from './mixture.ts';
import type { RerankSettings, RerankStage, StageResult } from './stage.ts';

/** A passage to score against a query. */
export interface RerankPassage {
  /** Identifies the text as long as the index is open, so that its tokens can be kept. */
  readonly key: string;
  readonly title: string;
  readonly text: string;
}

/** A pair that went through the first layers. */
export interface PausedPair {
  /** What these layers expect of its logit. */
  readonly estimate: number;
}

interface ScoreOptions {
  readonly signal?: AbortSignal;
}

/** A small transformer that reads query and passage together. @typeParam Paused what it keeps of a pair between two steps */
export interface Reranker<Paused extends PausedPair = PausedPair> {
  readonly modelName: string;
  readonly settings: RerankSettings;
  /**
   * @returns one logit per passage, in their order: the higher, the better the passage answers
   * @throws the signal's reason when it is aborted
   */
  score(query: string, passages: readonly RerankPassage[], options: ScoreOptions): Promise<Float32Array>;
  /** The first layers and the others by themselves, so that not every passage goes through all; present where the settings have an early exit. */
  readonly early?: TwoSteps<Paused> | undefined;
  /** Ends its threads. Never rejects. */
  close(): Promise<void>;
}

interface TwoSteps<Paused> {
  estimate(query: string, passages: readonly RerankPassage[], options: ScoreOptions): Promise<Paused[]>;
  /** @returns the logits of `score` */
  finish(paused: readonly Paused[], options: ScoreOptions): Promise<Float32Array>;
}

/** Passages scored between two checks of the deadline. Whole groups keep all threads busy. */
const GROUP = 16;
/** Documents among which an early exit chooses: the rows of all of them are kept meanwhile, some 200 KB each, 100 MB at most. */
const WINDOW = 128;

/** Scores documents by a cross-encoder, in groups and in the order of the ranking. */
export const crossStage = <Paused extends PausedPair>(reranker: Reranker<Paused>): RerankStage => {
  const { settings, early } = reranker;
  const keep = settings.earlyExit?.keep ?? 1;
  return {
    name: 'cross',
    settings,
    score: (search, docs, { deadline, signal }) => {
      const run: Run = { search, deadline, options: signal ? { signal } : {} };
      return early && keep < 1
        ? scoreInTwoSteps(run, docs, early, { mix: settings.mix, keep })
        : scoreAtOnce(run, docs, reranker);
    },
  };
};

interface Run {
  readonly search: FoundQuery;
  readonly deadline: Deadline;
  readonly options: ScoreOptions;
}

async function scoreAtOnce(
  { search, deadline, options }: Run,
  docs: readonly FoundDoc[],
  reranker: Pick<Reranker, 'score'>,
): Promise<StageResult> {
  const scores = await inGroups(docs, deadline, true, async (group) => [
    ...(await reranker.score(search.text, passagesOf(search, group), options)),
  ]);
  return { scores };
}

/** Which documents go on after the first layers. */
interface Choice {
  /** Share of the estimates in the order by which they are chosen. */
  readonly mix: number;
  readonly keep: number;
}

/** All documents through the first layers, and of each window the best through the others. */
async function scoreInTwoSteps<Paused extends PausedPair>(
  run: Run,
  docs: readonly FoundDoc[],
  steps: TwoSteps<Paused>,
  choice: Choice,
): Promise<StageResult> {
  const scores: number[] = [];
  const estimated = new Set<number>();
  for (let from = 0; from < docs.length && (from === 0 || !run.deadline.isPast); from += WINDOW) {
    const window = await scoreWindow(run, docs.slice(from, from + WINDOW), from === 0, steps, choice);
    for (const index of window.estimated) estimated.add(from + index);
    scores.push(...window.scores);
  }
  return { scores, estimated };
}

async function scoreWindow<Paused extends PausedPair>(
  { search, deadline, options }: Run,
  docs: readonly FoundDoc[],
  isFirst: boolean,
  steps: TwoSteps<Paused>,
  choice: Choice,
): Promise<{ readonly scores: number[]; readonly estimated: Set<number> }> {
  const paused = await inGroups(docs, deadline, isFirst, (group) =>
    steps.estimate(search.text, passagesOf(search, group), options),
  );
  const scores = paused.map(({ estimate }) => estimate);
  const estimated = new Set(scores.keys());
  const best = bestOf(docs.slice(0, scores.length), scores, choice);
  const logits = await inGroups(best, deadline, false, async (group) => [
    ...(await steps.finish(
      group.map((index) => paused[index]!),
      options,
    )),
  ]);
  logits.forEach((logit, at) => {
    scores[best[at]!] = logit;
    estimated.delete(best[at]!);
  });
  return { scores, estimated };
}

/** The documents that go on, by ranking and estimate together. @returns their positions, best first */
export function bestOf(
  docs: readonly Pick<FoundDoc, 'score'>[],
  estimates: readonly number[],
  { mix, keep }: Choice,
): number[] {
  const together = mixture(
    docs.map(({ score }) => score),
    estimates,
    mix,
  );
  const order = [...docs.keys()].sort((a, b) => together[b]! - together[a]! || a - b);
  return order.slice(0, Math.ceil(keep * docs.length));
}

/**
 * The values of the first items: of all, or of those whose group began before the deadline.
 *
 * @param isDue whether the first group is computed after the deadline, too
 */
async function inGroups<Item, Value>(
  items: readonly Item[],
  deadline: Deadline,
  isDue: boolean,
  valuesOf: (group: readonly Item[]) => Promise<readonly Value[]>,
): Promise<Value[]> {
  const values: Value[] = [];
  for (let from = 0; from < items.length; from += GROUP) {
    if (!(isDue && from === 0) && deadline.isPast) break;
    values.push(...(await valuesOf(items.slice(from, from + GROUP))));
  }
  return values;
}

function passagesOf({ generation }: FoundQuery, docs: readonly FoundDoc[]): RerankPassage[] {
  return docs.map(({ view, docId }) => {
    const docKey = view.segment.docKeys[docId]!;
    const { title = '', text = '' } = generation.document(docKey) ?? {};
    return { key: String(docKey), title, text };
  });
}
