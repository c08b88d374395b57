import {
  type Arena,
  type ArenaLayout,
  type ColumnSpread,
  detectN16,
  type F32Matrix,
  fillF32Matrix,
  fillInt8Matrix,
  fillSpread,
  type Int8Matrix,
  type Int8Rows,
  type KernelLibrary,
  padTo,
  repeatInputs,
  reserveF32Matrix,
  reserveInt8Matrix,
  reserveSpread,
} from '../../kernels/index.ts';
import type { SparsePattern } from './sparse-storage.ts';
import { stackRows, TensorSource } from './tensor-source.ts';
import { planWeightMatrix, type WeightMatrix } from './weight-matrix.ts';
import type { Tensor } from './weights-file.ts';

/** LayerNorm parameters in the arena, f32[hidden] each. */
export interface NormWeights {
  readonly gamma: number;
  readonly beta: number;
}

/** Names of a weight tensor and its bias. */
export type WeightName = readonly [weight: string, bias?: string];

/**
 * Reserves tensors in an arena before the arena exists, and copies them with {@link fill} once it does. Body and heads plan
 * their weights with it. Offsets are bytes. Every method throws WINNOW_MODEL_INVALID for a missing or misshapen tensor.
 */
export class WeightPlanner {
  readonly #layout: ArenaLayout;
  readonly #source: TensorSource;
  readonly #skipsZeros: KernelLibrary['skipsZeros'];
  readonly #fillers: ((arena: Arena) => void)[] = [];

  /** @param library whose kernels will take the weights */
  constructor(layout: ArenaLayout, tensors: ReadonlyMap<string, Tensor>, library: KernelLibrary) {
    this.#layout = layout;
    this.#source = new TensorSource(tensors);
    this.#skipsZeros = library.skipsZeros;
  }

  has(name: string): boolean {
    return this.#source.has(name);
  }

  /** Rows of a matrix; undefined where the model has no such tensor. */
  outputsOf(name: string): number | undefined {
    return this.#source.outputsOf(name);
  }

  /** @returns the offset of an f32 tensor, row-major */
  floats(name: string, shape: readonly number[]): number {
    const values = this.#source.floats(name, shape);
    const offset = this.#layout.reserve(4 * values.length);
    this.#fillers.push((arena) => arena.floats(offset, values.length).set(values));
    return offset;
  }

  /** `<name>.weight` and `<name>.bias` of a LayerNorm. */
  layerNorm(name: string, size: number): NormWeights {
    return { gamma: this.floats(`${name}.weight`, [size]), beta: this.floats(`${name}.bias`, [size]) };
  }

  /** `<name>.weight` and `<name>.bias` of a linear map, for products of f32 rows. */
  f32Matrix(name: string, outputs: number, inputs: number): F32Matrix {
    const values = this.#source.floats(`${name}.weight`, [outputs, inputs]);
    const bias = this.#source.floats(`${name}.bias`, [outputs]);
    const matrix = reserveF32Matrix(this.#layout, outputs, inputs);
    this.#fillers.push((arena) => fillF32Matrix(arena, matrix, values, bias));
    return matrix;
  }

  /** A dense int8 matrix, for kernels that take no other format. */
  int8Matrix([weight, bias]: WeightName, outputs: number, inputs: number): Int8Matrix {
    const rows = this.#source.rows(weight, outputs, inputs, bias);
    const matrix = reserveInt8Matrix(this.#layout, outputs, inputs);
    this.#fillers.push((arena) => fillInt8Matrix(arena, matrix, [rows]));
    return matrix;
  }

  /**
   * `tied` with a bias of its own: the values are shared.
   *
   * @param bias f32 tensor of `tied.outputs` values; absent: 0 for every output
   */
  withBias(tied: Int8Matrix, bias: string | undefined): Int8Matrix {
    const offset = this.#layout.reserve(4 * padTo(tied.outputs, 32));
    if (bias !== undefined) {
      const values = this.#source.floats(bias, [tied.outputs]);
      this.#fillers.push((arena) => arena.floats(offset, tied.outputs).set(values));
    }
    return { ...tied, bias: offset };
  }

  /**
   * The weights of a product, for the kernel of their pattern.
   *
   * @param parts matrices of `outputs / parts.length` outputs each, stacked so that one product computes all of them
   * @param channelCopies bytes of each input channel; absent: one each; N:16 allows no others
   */
  product(
    parts: readonly WeightName[],
    outputs: number,
    inputs: number,
    channelCopies: Int32Array = new Int32Array(inputs).fill(1),
  ): WeightMatrix {
    const rows = stackRows(
      parts.map(([weight, bias]) => this.#source.rows(weight, outputs / parts.length, inputs, bias)),
    );
    const pattern = this.#patternOf(parts, rows, inputs);
    const { weights, fill } = planWeightMatrix(
      this.#layout,
      repeatInputs(rows, channelCopies),
      pattern,
      this.#skipsZeros,
    );
    this.#fillers.push(fill);
    return weights;
  }

  /**
   * The pattern that all parts have: the one in which the file stores them, or N:16 where their zeros follow it. Parts of
   * 4:16 and 8:16 make 8:16 together; with any other mixture the product is dense.
   */
  #patternOf(parts: readonly WeightName[], rows: Int8Rows, inputs: number): SparsePattern | undefined {
    const stored = new Set(parts.map(([weight]) => this.#source.storedPattern(weight)));
    const [first] = stored;
    if (stored.size === 1 && first !== undefined) return first;
    const passes = detectN16(rows.data, inputs);
    return passes && (passes === 1 ? '4:16' : '8:16');
  }

  /** How quantised rows hold the channels that have more than one byte. */
  outlierSplit(channelCopies: Int32Array): ColumnSpread {
    const split = reserveSpread(this.#layout, channelCopies);
    this.#fillers.push((arena) => fillSpread(arena, split, channelCopies));
    return split;
  }

  /** Copies every planned tensor into the arena. */
  fill(arena: Arena): void {
    for (const fill of this.#fillers) fill(arena);
  }
}
