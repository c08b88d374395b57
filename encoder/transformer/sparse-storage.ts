import { detectN16 } from '../../kernels/index.ts';

/**
 * A pattern of zeros in an int8 matrix for which there is a kernel: of every 16 consecutive inputs of an output at most 4 or
 * 8 are not 0, or whole blocks of 4 consecutive inputs of an output are 0.
 */
export type SparsePattern = '4:16' | '8:16' | '4x1';

interface PatternRule {
  /** Consecutive inputs that are kept or dropped together. */
  readonly unit: 1 | 4;
  /** Inputs that may be kept of each 16; undefined: any number. */
  readonly most?: 4 | 8;
}

const RULES: Readonly<Record<SparsePattern, PatternRule>> = {
  '4:16': { unit: 1, most: 4 },
  '8:16': { unit: 1, most: 8 },
  '4x1': { unit: 4 },
};

/** With more blocks than this, the 4x1 kernel is hardly faster than the dense one (docs/benchmarks.md). */
const MOST_BLOCKS = 0.5;

export const isSparsePattern = (name: unknown): name is SparsePattern =>
  typeof name === 'string' && Object.hasOwn(RULES, name);

/**
 * The pattern that the zeros of a matrix follow and that is stored in the fewest bytes; undefined for a dense matrix and
 * for zeros without structure, which no kernel gains from.
 *
 * @param data row-major, `inputs` weights per output
 */
export function detectPattern(data: Int8Array, inputs: number): SparsePattern | undefined {
  const passes = detectN16(data, inputs);
  const fitting: SparsePattern[] = passes === undefined ? [] : [passes === 1 ? '4:16' : '8:16'];
  const blocks = (data.length / inputs) * Math.ceil(inputs / 4);
  if (countUnits(data, inputs, 4) <= MOST_BLOCKS * blocks) fitting.push('4x1');
  const sized = fitting.map((pattern) => ({ pattern, bytes: encodeSparse(data, inputs, pattern).length }));
  return sized.sort((a, b) => a.bytes - b.bytes)[0]?.pattern;
}

/** Bytes of the bit map of one output: a bit per unit, the last byte padded with 0. */
const maskBytes = (inputs: number, unit: number): number => Math.ceil(Math.ceil(inputs / unit) / 8);

/** Units that hold a weight other than 0. */
function countUnits(data: Int8Array, inputs: number, unit: number): number {
  let count = 0;
  for (let row = 0; row < data.length; row += inputs)
    for (let k = 0; k < inputs; k += unit) if (isKept(data, row, k, inputs, unit)) count++;
  return count;
}

function isKept(data: Int8Array, row: number, first: number, inputs: number, unit: number): boolean {
  for (let k = first; k < first + unit && k < inputs; k++) if (data[row + k] !== 0) return true;
  return false;
}

/**
 * The stored form of a matrix with a pattern: for each output a bit map of the units (single inputs, or blocks of 4) that
 * are kept, lowest bit first; then the weights of the kept units, s8, output after output.
 *
 * It takes 6 bytes per 16 weights at 4:16, 10 at 8:16, and 4.5 at 4x1 with a quarter of the blocks. A bit map cannot name
 * an input outside the matrix, so that reading needs no check of indexes.
 */
export function encodeSparse(data: Int8Array, inputs: number, pattern: SparsePattern): Int8Array {
  const { unit } = RULES[pattern];
  const outputs = data.length / inputs;
  const width = maskBytes(inputs, unit);
  const bytes = new Int8Array(outputs * width + unit * countUnits(data, inputs, unit));
  let at = outputs * width;
  for (let n = 0; n < outputs; n++) {
    for (let u = 0; u * unit < inputs; u++) {
      if (!isKept(data, n * inputs, u * unit, inputs, unit)) continue;
      bytes[n * width + (u >> 3)]! |= 1 << (u & 7);
      const first = n * inputs + u * unit;
      bytes.set(data.subarray(first, Math.min(first + unit, (n + 1) * inputs)), at);
      at += unit;
    }
  }
  return bytes;
}

/**
 * The dense weights of {@link encodeSparse}'s bytes, zeros included.
 *
 * @returns undefined when the bytes are not those of a matrix of this shape and pattern
 */
export function decodeSparse(
  bytes: Int8Array,
  outputs: number,
  inputs: number,
  pattern: SparsePattern,
): Int8Array | undefined {
  const { unit, most = 16 } = RULES[pattern];
  const width = maskBytes(inputs, unit);
  const units = Math.ceil(inputs / unit);
  if (bytes.length < outputs * width) return undefined;
  const data = new Int8Array(outputs * inputs);
  let at = outputs * width;
  for (let n = 0; n < outputs; n++) {
    let inGroup = 0;
    for (let u = 0; u < 8 * width; u++) {
      if ((u * unit) % 16 === 0) inGroup = 0;
      if (((bytes[n * width + (u >> 3)]! >> (u & 7)) & 1) === 0) continue;
      inGroup += unit;
      if (u >= units || inGroup > most || at + unit > bytes.length) return undefined;
      for (let i = 0; i < unit && u * unit + i < inputs; i++)
        data[n * inputs + u * unit + i] = bytes[at + i]!;
      at += unit;
    }
  }
  return at === bytes.length ? data : undefined;
}
