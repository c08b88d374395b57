import type { Arena, ArenaLayout } from '../../../kernels/index.ts';
import { TensorSource } from '../../transformer/tensor-source.ts';
import type { Tensor } from '../../transformer/weights-file.ts';

/** The part of a parameter that is trained: a rectangle of it. */
export interface Region {
  readonly firstRow: number;
  readonly firstColumn: number;
  readonly rows: number;
  readonly columns: number;
}

/** A rectangle with its gradient and the moments of AdamW, f32[rows][columns] each without gaps. */
export interface TrainedRegion extends Region {
  readonly gradient: number;
  readonly first: number;
  readonly second: number;
}

/** A weight in the arena, f32[rows][columns]; a bias or the gain of a norm has one row. */
export interface Parameter {
  /** Tensors of the model file, one below the other. */
  readonly tensors: readonly string[];
  readonly offset: number;
  readonly rows: number;
  readonly columns: number;
  /** Absent: frozen. */
  readonly trained: TrainedRegion | undefined;
  /** Whether weight decay applies: to matrices alone. */
  readonly decays: boolean;
}

/** A linear map: weight [outputs][inputs], bias [1][outputs]. */
export interface LinearParameters {
  readonly weight: Parameter;
  readonly bias: Parameter;
}

/** LayerNorm: gain and offset, [1][columns] each. */
export interface NormParameters {
  readonly gamma: Parameter;
  readonly beta: Parameter;
}

/** Reserves parameters, and copies the model's tensors to them once the arena exists. */
export class ParameterPlanner {
  /** In the order in which they were planned. */
  readonly all: Parameter[] = [];
  readonly #layout: ArenaLayout;
  readonly #source: TensorSource;

  constructor(layout: ArenaLayout, tensors: ReadonlyMap<string, Tensor>) {
    this.#layout = layout;
    this.#source = new TensorSource(tensors);
  }

  has(name: string): boolean {
    return this.#source.has(name);
  }

  /**
   * Matrices of `rows / tensors.length` rows each, one below the other.
   *
   * @param trained all of it, nothing, or a rectangle
   */
  matrix(tensors: readonly string[], rows: number, columns: number, trained: boolean | Region): Parameter {
    return this.#plan({ tensors, rows, columns, decays: true }, trained);
  }

  /** A vector, or several behind one another. */
  vector(tensors: readonly string[], length: number, trained: boolean | Region): Parameter {
    return this.#plan({ tensors, rows: 1, columns: length, decays: false }, trained);
  }

  /** `<name>.weight` and `<name>.bias` of maps whose outputs are stacked. */
  linear(
    names: readonly string[],
    outputs: number,
    inputs: number,
    trained: { readonly weight: boolean | Region; readonly bias: boolean | Region },
  ): LinearParameters {
    const named = (kind: string) => names.map((name) => `${name}.${kind}`);
    return {
      weight: this.matrix(named('weight'), outputs, inputs, trained.weight),
      bias: this.vector(named('bias'), outputs, trained.bias),
    };
  }

  /** `<name>.weight` and `<name>.bias` of a LayerNorm. */
  norm(name: string, size: number, trained: boolean): NormParameters {
    return {
      gamma: this.vector([`${name}.weight`], size, trained),
      beta: this.vector([`${name}.bias`], size, trained),
    };
  }

  #plan(
    { tensors, rows, columns, decays }: Pick<Parameter, 'tensors' | 'rows' | 'columns' | 'decays'>,
    trained: boolean | Region,
  ): Parameter {
    // Kernels read biases by whole groups of 32 outputs.
    const offset = this.#layout.reserve(4 * rows * columns + 128);
    const region = trained === true ? { firstRow: 0, firstColumn: 0, rows, columns } : trained;
    const reserve = () => this.#layout.reserve(4 * sizeOf(region || undefined));
    const parameter: Parameter = {
      tensors,
      offset,
      rows,
      columns,
      decays,
      trained: region ? { ...region, gradient: reserve(), first: reserve(), second: reserve() } : undefined,
    };
    this.all.push(parameter);
    return parameter;
  }

  /** @throws WinnowError WINNOW_MODEL_INVALID for a missing or misshapen tensor */
  fill(arena: Arena): void {
    for (const { tensors, offset, rows, columns, decays } of this.all) {
      const length = (rows * columns) / tensors.length;
      const shape = decays ? [rows / tensors.length, columns] : [length];
      tensors.forEach((name, i) => {
        arena.floats(offset + 4 * i * length, length).set(this.#source.floats(name, shape));
      });
    }
  }
}

export const sizeOf = (region: Region | undefined): number => (region ? region.rows * region.columns : 0);

/** Calls `visit(row of the parameter, row of the region)` for each trained row: views of f32. */
export function eachTrainedRow(
  arena: Arena,
  { offset, columns, trained }: Parameter,
  visit: (weights: Float32Array, row: number) => void,
): void {
  if (!trained) return;
  for (let row = 0; row < trained.rows; row++)
    visit(
      arena.floats(offset + 4 * ((trained.firstRow + row) * columns + trained.firstColumn), trained.columns),
      row,
    );
}
