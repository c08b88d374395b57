import { WinnowError } from '../../errors.ts';

/** The memory of an arena. Worker threads share it as it is. WebAssembly needs its own kind of memory object. */
export type ArenaMemory = SharedArrayBuffer | WasmMemory;

/** The part of WebAssembly.Memory that is used here. */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
}

export const newSharedMemory = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

/** Every region starts at a multiple of this many bytes: a cache line, and the widest vector register. */
export const ARENA_ALIGNMENT = 64;
/** Offsets are u32 in the kernels. */
const MAX_ARENA_BYTES = 2 ** 32 - 65536;

/**
 * Plans the regions of an arena before it is allocated: kernels never allocate, so everything that they touch
 * (weights, activations, scratch) is reserved here first. Offset 0 is never returned: it means "absent".
 */
export class ArenaLayout {
  #sizeBytes: number;

  /** @param startBytes bytes at the front that the backend needs for itself, see {@link KernelLibrary.arenaStart} */
  constructor(startBytes: number) {
    this.#sizeBytes = Math.max(ARENA_ALIGNMENT, startBytes);
  }

  /** @returns the byte offset of a new region of at least `bytes` bytes, aligned to 64 */
  reserve(bytes: number): number {
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `cannot reserve ${bytes} bytes of kernel memory`);
    }
    const offset = Math.ceil(this.#sizeBytes / ARENA_ALIGNMENT) * ARENA_ALIGNMENT;
    // One line of slack: whole-vector reads may pass the end of a region, never the end of the arena.
    this.#sizeBytes = offset + bytes + ARENA_ALIGNMENT;
    if (this.#sizeBytes > MAX_ARENA_BYTES) {
      throw new WinnowError('WINNOW_BAD_ARGUMENT', 'more than 4 GiB of kernel memory is needed', {
        hint: 'lower maxBatchTokens or threads',
      });
    }
    return offset;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }
}

/** Typed views of one arena and the bounds checks that every kernel call goes through. */
export class Arena {
  readonly memory: ArenaMemory;
  readonly u8: Uint8Array;
  readonly i8: Int8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly f32: Float32Array;

  /** @param start byte of the memory where offset 0 lies, a multiple of 4 */
  constructor(memory: ArenaMemory, start = 0) {
    this.memory = memory;
    const buffer = memory instanceof SharedArrayBuffer ? memory : memory.buffer;
    const words = Math.floor((buffer.byteLength - start) / 4);
    this.u8 = new Uint8Array(buffer, start);
    this.i8 = new Int8Array(buffer, start);
    this.u16 = new Uint16Array(buffer, start, 2 * words);
    this.i32 = new Int32Array(buffer, start, words);
    this.f32 = new Float32Array(buffer, start, words);
  }

  /** Rejects a region that is not inside the arena or not aligned. Kernels trust their offsets after this. */
  require(name: string, offset: number, bytes: number, alignment: 1 | 2 | 4): void {
    if (
      !Number.isSafeInteger(offset) ||
      !Number.isSafeInteger(bytes) ||
      offset < ARENA_ALIGNMENT ||
      bytes < 0 ||
      offset % alignment !== 0 ||
      offset + bytes > this.u8.byteLength
    ) {
      throw new WinnowError(
        'WINNOW_BAD_ARGUMENT',
        `kernel buffer ${name} (${bytes} bytes at ${offset}) is not inside the arena of ${this.u8.byteLength} bytes`,
        { place: name },
      );
    }
  }

  floats(offset: number, count: number): Float32Array {
    this.require('floats', offset, 4 * count, 4);
    return this.f32.subarray(offset / 4, offset / 4 + count);
  }

  ints(offset: number, count: number): Int32Array {
    this.require('ints', offset, 4 * count, 4);
    return this.i32.subarray(offset / 4, offset / 4 + count);
  }

  shorts(offset: number, count: number): Uint16Array {
    this.require('shorts', offset, 2 * count, 2);
    return this.u16.subarray(offset / 2, offset / 2 + count);
  }

  bytes(offset: number, count: number): Uint8Array {
    this.require('bytes', offset, count, 1);
    return this.u8.subarray(offset, offset + count);
  }
}

/** Rejects a dimension that is not a whole number in `low..high`. */
export function requireCount(name: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `${name} must be a whole number ${low}..${high}, not ${value}`,
      {
        place: name,
      },
    );
  }
}

/** Rows of activations that one call may have. */
export const MAX_ROWS = 1 << 20;

/**
 * Rejects row ranges that do not ascend: `starts` is an i32[documents + 1] region, document d owns rows
 * starts[d] .. starts[d + 1] - 1.
 *
 * @returns the number of rows that the documents cover, at most `capacity`
 */
export function checkStarts(arena: Arena, starts: number, documents: number, capacity: number): number {
  requireCount('documents', documents, 1, MAX_ROWS);
  const offsets = arena.ints(starts, documents + 1);
  for (let d = 0; d < documents; d++) {
    if (offsets[d]! < 0 || offsets[d]! > offsets[d + 1]!) {
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `document ${d} has no ascending row range`, {
        place: 'starts',
      });
    }
  }
  requireCount('rows of all documents', offsets[documents]!, 0, capacity);
  return offsets[documents]!;
}

/** Rejects an i32[count] region with a value outside 0..limit - 1. */
export function checkIndexes(arena: Arena, name: string, offset: number, count: number, limit: number): void {
  const indexes = arena.ints(offset, count);
  for (let i = 0; i < count; i++) {
    if (indexes[i]! < 0 || indexes[i]! >= limit) {
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `${name} ${indexes[i]} is not in 0..${limit - 1}`, {
        place: name,
      });
    }
  }
}
