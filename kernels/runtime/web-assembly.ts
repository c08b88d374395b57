import type { WasmMemory } from './arena.ts';

/** A compiled module. */
export type WasmModule = object;

interface WebAssemblyApi {
  readonly Module: {
    new (bytes: Uint8Array): WasmModule;
    exports(module: WasmModule): { readonly name: string }[];
  };
  readonly Instance: new (
    module: WasmModule,
    imports: object,
  ) => { readonly exports: Record<string, unknown> };
  validate(bytes: Uint8Array): boolean;
  readonly Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
}

/** The part of the WebAssembly API that is used in kernels/; lib.dom would bring the whole browser. */
export const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyApi };

export const WASM_PAGE_BYTES = 65_536;

/**
 * A module of one function, `(v128, v128, v128) -> v128`, whose body is i32x4.relaxed_dot_i8x16_i7x16_add_s: what engines
 * without relaxed SIMD do not accept (WebAssembly 3.0; V8 from 11.4 on).
 */
const RELAXED_DOT = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 8, 1, 0x60, 3, 0x7b, 0x7b, 0x7b, 1, 0x7b],
  ...[3, 2, 1, 0],
  ...[10, 13, 1, 11, 0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfd, 0x93, 2, 0x0b],
);

/** Whether this engine runs winnow-relaxed.wasm. */
export const hasRelaxedSimd = (): boolean => WebAssembly.validate(RELAXED_DOT);
