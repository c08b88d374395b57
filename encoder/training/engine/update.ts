import type { Parameter, TrainedRegion } from './parameters.ts';

/** Rows of a trained region that one thread updates at a time. */
export interface Piece {
  readonly parameter: Parameter;
  readonly trained: TrainedRegion;
  readonly firstRow: number;
  readonly rows: number;
}

/** Elements of a piece, about: enough to be worth a turn, few enough to divide. */
const PIECE_ELEMENTS = 1 << 16;

/** The pieces of all trained regions; their order decides the order of the sum of squares, so it depends on nothing but the model. */
export function piecesOf(parameters: readonly Parameter[]): Piece[] {
  return parameters.flatMap((parameter) => {
    const { trained } = parameter;
    if (!trained) return [];
    const rows = Math.max(1, Math.floor(PIECE_ELEMENTS / trained.columns));
    return Array.from({ length: Math.ceil(trained.rows / rows) }, (_, i) => ({
      parameter,
      trained,
      firstRow: i * rows,
      rows: Math.min(rows, trained.rows - i * rows),
    }));
  });
}
