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
  readonly Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
}

/** The part of the WebAssembly API that is used in kernels/; lib.dom would bring the whole browser. */
export const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyApi };

export const WASM_PAGE_BYTES = 65_536;
