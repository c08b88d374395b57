import { Arena, type WasmMemory } from './arena.ts';
import { Kernels } from './kernels.ts';
import type { KernelLibrary } from './library.ts';
import { RAW_KERNEL_NAMES, type RawKernels } from './raw.ts';

// The part of the WebAssembly API that is used here; lib.dom would bring the whole browser.
declare const WebAssembly: {
  Module: { new (bytes: Uint8Array): object; customSections(module: object, name: string): ArrayBuffer[] };
  Instance: new (module: object, imports: object) => { exports: Record<string, unknown> };
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
};

const PAGE_BYTES = 65536;
/** Attention and the tiles keep a few KiB on the stack. */
const STACK_BYTES = 65536;
/** Static data of the module ends below this; the linker is told so in wasm/build.mjs. */
const DATA_END = 65536;

/** Compiles the committed module; each thread then has its own instance over one shared memory. */
export function openWasm(bytes: Uint8Array): KernelLibrary {
  const module = new WebAssembly.Module(bytes);
  return {
    backend: 'wasm',
    instructions: 'simd128',
    skipsZeros: true,
    arenaStart: DATA_END,
    stackBytes: STACK_BYTES,
    newMemory(size) {
      const pages = Math.ceil(size / PAGE_BYTES);
      return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    },
    bind(memory, stack) {
      const { exports } = new WebAssembly.Instance(module, { env: { memory } });
      if (RAW_KERNEL_NAMES.some((name) => typeof exports[name] !== 'function')) {
        throw new Error('the module is of another version');
      }
      if (stack !== undefined) {
        (exports.__stack_pointer as { value: number }).value = stack + STACK_BYTES;
      }
      return new Kernels('wasm', new Arena(memory as WasmMemory), exports as unknown as RawKernels);
    },
  };
}
