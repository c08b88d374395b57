import { byName } from '../generated/by-name.ts';
import { KERNEL_ABI, WASM_SEARCH_FUNCTIONS } from '../table.ts';
import { Arena, type WasmMemory } from './arena.ts';
import { Kernels } from './kernels.ts';
import type { KernelLibrary } from './library.ts';
import { KERNEL_NAMES, type PositionalKernels } from './raw-kernels.ts';
import { WASM_PAGE_BYTES, type WasmModule, WebAssembly } from './web-assembly.ts';

/** Attention and the tiles keep a few KiB on the stack. */
const STACK_BYTES = 65_536;
/** Static data of the module ends below this; the linker is given this limit in wasm/build.mjs. */
const DATA_END = 65_536;

/**
 * Compiles a module and checks that it was built from this table of kernels.
 *
 * @param functions names that it must export
 * @throws Error when it does not match; the loader adds the path
 */
function compile(bytes: Uint8Array, functions: readonly string[]): WasmModule {
  const module = new WebAssembly.Module(bytes);
  const names = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  if (!names.has(`abi_${KERNEL_ABI.toString(16)}`) || functions.some((name) => !names.has(name))) {
    throw new Error('the module was built from another table of kernels');
  }
  return module;
}

/**
 * Committed modules: one for arena kernels, of which each thread has its own instance over one shared memory, and
 * one for searches, of which each block of posting lists has an instance.
 *
 * @param instructions what the arena kernels were compiled for
 */
export function wasmLibrary(
  arenaBytes: Uint8Array,
  searchBytes: Uint8Array,
  instructions: 'simd128' | 'relaxed-simd',
): KernelLibrary {
  const module = compile(arenaBytes, KERNEL_NAMES);
  return {
    backend: 'wasm',
    instructions,
    skipsZeros: { n16: true, block4: true },
    arenaStart: DATA_END,
    stackBytes: STACK_BYTES,
    search: { kind: 'wasm', module: compile(searchBytes, WASM_SEARCH_FUNCTIONS) },
    newMemory(size) {
      const pages = Math.ceil(size / WASM_PAGE_BYTES);
      return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    },
    bind(memory, stack) {
      const { exports } = new WebAssembly.Instance(module, { env: { memory } });
      if (stack !== undefined) {
        (exports.__stack_pointer as { value: number }).value = stack + STACK_BYTES;
      }
      const raw = byName(exports as unknown as PositionalKernels);
      return new Kernels('wasm', new Arena(memory as WasmMemory), raw);
    },
  };
}
