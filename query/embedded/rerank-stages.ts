import type { Model } from '../../encoder/model.ts';
import { WinnowError } from '../../errors.ts';
import type { IndexSettings } from '../../indexer/types.ts';
import type { SearchOptions } from '../request.ts';
import { crossStage } from '../rerank/cross-stage.ts';
import type { InstantStage, RerankStage, StageName } from '../rerank/stage.ts';
import { tokenVectorStage, vectorStage } from '../rerank/vector-stage.ts';
import { RerankerLoader, type RerankerOptions } from './reranker-loader.ts';
import type { SourceEncoder } from './source-encoder.ts';

/** What a request asks for. `true`: all stages that there are, vectors first. */
export type RerankChoice = Exclude<SearchOptions['rerank'], false | undefined>;

/** What decides whether an index can be reranked by vectors. */
interface VectorIndex {
  /** For messages. */
  readonly path: string;
  readonly settings: Pick<IndexSettings, 'vectorSize'>;
}

/** The stages that requests may ask for. Models are loaded with the first search that needs them. */
export class RerankStages {
  private readonly store: VectorIndex;
  private readonly model: Model;
  private readonly encoder: SourceEncoder;
  private readonly rerankers: RerankerLoader;
  private vector: RerankStage | undefined;
  private tokens: InstantStage | undefined;

  constructor(store: VectorIndex, model: Model, encoder: SourceEncoder, options: RerankerOptions) {
    this.store = store;
    this.model = model;
    this.encoder = encoder;
    this.rerankers = new RerankerLoader(options);
  }

  /** In the order in which a cascade runs them. */
  get available(): readonly StageName[] {
    return this.whyNoVectors() === undefined ? ['vector', 'cross'] : ['cross'];
  }

  /** The stage that sparse searches have without asking for it, where the model has a table of token vectors. */
  get ofEverySearch(): InstantStage | undefined {
    if (!this.model.readTokenVectors || this.whyNoVectors()) return undefined;
    this.tokens ??= tokenVectorStage(
      this.model.config.winnow.vector!,
      this.model.readTokenVectors(),
      this.model.query,
    );
    return this.tokens;
  }

  /**
   * @returns in the order in which they run
   * @throws WinnowError WINNOW_NO_VECTORS, WINNOW_MODEL_NOT_FOUND, WINNOW_MODEL_INVALID
   */
  async open(wanted: RerankChoice): Promise<RerankStage[]> {
    const stages = wanted === 'vector' || wanted === 'cross' ? [wanted] : this.available;
    return Promise.all(
      stages.map(async (stage) =>
        stage === 'vector' ? this.openVector() : crossStage(await this.rerankers.open()),
      ),
    );
  }

  /** Ends the reranker's threads. Never rejects. */
  close(): Promise<void> {
    return this.rerankers.close();
  }

  private openVector(): RerankStage {
    const why = this.whyNoVectors();
    if (why) throw why;
    this.vector ??=
      this.ofEverySearch ??
      vectorStage(this.model.config.winnow.vector!, (query, signal) =>
        this.encoder.encodeQuery(query, signal),
      );
    return this.vector;
  }

  private whyNoVectors(): WinnowError | undefined {
    const { path, settings } = this.store;
    if (!this.model.config.winnow.vector)
      return new WinnowError('WINNOW_NO_VECTORS', `the model ${this.model.name} makes no vectors`, {
        place: 'rerank',
        hint: 'ask for rerank "cross", or index with a model that has a second output',
      });
    if (settings.vectorSize === undefined)
      return new WinnowError('WINNOW_NO_VECTORS', 'the index keeps no vectors', {
        place: 'rerank',
        hint: `run \`winnow index\` again with the same input and --index ${path}: it adds them`,
      });
    return undefined;
  }
}
