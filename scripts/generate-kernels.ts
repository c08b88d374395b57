// Writes kernels/generated/ from kernels/table.ts and kernels/search/layout.ts: npm run generate:kernels
// With --check nothing is written; exit code 1 when a file is out of date.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD_FUNCTIONS } from '../kernels/search/build-functions.ts';
import * as layout from '../kernels/search/layout.ts';
import {
  ARENA_KERNELS,
  BLOCK_MAX_LAYOUT,
  KERNEL_ABI,
  POSTING_LAYOUT,
  SEARCH_FUNCTIONS,
  WASM_SEARCH_FUNCTIONS,
} from '../kernels/table.ts';
import { packageRoot } from '../package-root.ts';

const C_TYPES: Record<string, string> = {
  u8: 'uint8_t',
  s8: 'int8_t',
  u16: 'uint16_t',
  i32: 'int32_t',
  u32: 'uint32_t',
  f32: 'float',
  f64: 'double',
};
/** What native/arguments.h must find in a JavaScript value. */
const ARGUMENT_KINDS: Record<string, string> = {
  'u8[]': 'ARGUMENT_U8S',
  'u8[]?': 'ARGUMENT_U8S_OR_NONE',
  'u16[]': 'ARGUMENT_U16S',
  'u32[]': 'ARGUMENT_U32S',
  'i32[]': 'ARGUMENT_I32S',
  'f32[]': 'ARGUMENT_F32S',
  'f64[]': 'ARGUMENT_F64S',
  u32: 'ARGUMENT_U32',
  f64: 'ARGUMENT_F64',
};
/** Arrays that a search writes to. */
const WRITTEN = ['scratch', 'hits'];
const NOTICE =
  '// Generated from kernels/table.ts by `npm run generate:kernels`. Do not edit.\n#pragma once\n';

const snake = (name: string): string =>
  name.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const constant = (name: string): string => snake(name).toUpperCase();
const entries = Object.entries;

function declaration(name: string, type: string): string {
  const [, read, element, dimensions] = /^(const )?(\w+)(\[.*)?$/.exec(type)!;
  return `${read ?? ''}${C_TYPES[element!]} ${dimensions === undefined ? '' : '*'}${snake(name)}`;
}

/** Breaks a comma-separated list after 120 columns, as the C sources do. */
function wrap(start: string, items: readonly string[], end: string): string {
  const indent = ' '.repeat(start.includes('(') ? start.lastIndexOf('(') + 1 : 4);
  let text = '';
  let line = start;
  items.forEach((item, i) => {
    const piece = item + (i + 1 < items.length ? ',' : end);
    if (line.length + piece.length + 1 > 120) {
      text += `${line.trimEnd()}\n`;
      line = indent;
    }
    line += `${piece} `;
  });
  return text + line.trimEnd();
}

function prototype(name: string, declarator: string, indent = ''): string {
  const { returns, parameters } = ARENA_KERNELS[name as keyof typeof ARENA_KERNELS];
  const result = returns === 'void' ? 'void' : C_TYPES[returns]!;
  return wrap(
    `${indent}${result} ${declarator}(`,
    entries(parameters).map(([own, type]) => declaration(own, type)),
    ');',
  ).replaceAll('( ', '(');
}

function kernelsHeader(): string {
  const names = Object.keys(ARENA_KERNELS);
  return `${NOTICE}#include "../search/search-kernels.h"

// Identifies the table that a module was built from; the loader rejects any other.
#define KERNEL_ABI 0x${KERNEL_ABI.toString(16)}u
#define KERNEL_ABI_EXPORT "abi_${KERNEL_ABI.toString(16)}"

// The kernels of one instruction set. They are documented where they are defined.
struct kernels {
${names.map((name) => prototype(name, `(*${name})`, '  ')).join('\n')}
  search_exact_kernel *search_exact;
  search_pruned_kernel *search_pruned;
  search_lexical_kernel *search_lexical;
};

// The kernels of the instruction set that native/module.c chose.
const struct kernels *kernels_in_use(void);

#define ARENA_KERNELS(_) \\
${names.map((name) => `  _(${name})`).join(' \\\n')}
#define SEARCH_KERNELS(_) _(search_exact) _(search_pruned) _(search_lexical)

// A definition that differs from the table does not compile.
#ifdef KERNEL
${names.map((name) => prototype(name, `KERNEL(${name})`)).join('\n')}
#endif
`;
}

function callsHeader(): string {
  const argument = (type: string, i: number) =>
    `${type.includes('[') ? 'P' : type === 'i32' ? 'I' : 'F'}(${i})`;
  const calls = entries(ARENA_KERNELS).map(([name, { returns, parameters }]) => {
    const call = `kernels->${name}(${Object.values(parameters).map(argument).join(', ')});`;
    const body = returns === 'void' ? `  ${call}\n  return 0;` : `  return ${call}`;
    return `static double call_${name}(const struct kernels *kernels, uint8_t *m, const double *a) {\n${body}\n}`;
  });
  const count = (parameters: object) => Object.keys(parameters).length;
  const rows = entries(ARENA_KERNELS).map(
    ([name, { parameters }]) => `    {"${name}", ${count(parameters)}, call_${name}},`,
  );
  return `${NOTICE}#include "kernels.h"

// Parameter i of a call, from an array \`a\` of numbers: an offset into the arena \`m\` (0 = NULL), an integer, a
// float.
#define P(i) (a[i] == 0 ? NULL : (void *)(m + (size_t)a[i]))
#define I(i) ((int32_t)a[i])
#define F(i) ((float)a[i])

${calls.join('\n')}

#undef P
#undef I
#undef F

struct arena_function {
  const char *name;
  int parameters;
  double (*call)(const struct kernels *kernels, uint8_t *m, const double *a);
};
enum { MAX_PARAMETERS = ${Math.max(...Object.values(ARENA_KERNELS).map(({ parameters }) => count(parameters)))} };
static const struct arena_function ARENA_FUNCTIONS[] = {
${rows.join('\n')}
};
`;
}

function layoutHeader(): string {
  const constants = entries(layout).map(([name, value]) => `  ${name} = ${value},`);
  const fields = (prefix: string, names: readonly string[]) =>
    wrap('enum {', [...names.map((name) => `${prefix}_${constant(name)}`), `${prefix}_LENGTH`], '};');
  const functions = entries({ ...SEARCH_FUNCTIONS, ...BUILD_FUNCTIONS }).map(([name, parameters]) => {
    const prefix = constant(name);
    const kinds = parameters.map(([, type]) => ARGUMENT_KINDS[type]!);
    return `${fields(
      prefix,
      parameters.map(([own]) => own),
    )}
#define ${prefix}_KINDS \\
${kinds.map((kind) => `  ${kind}`).join(', \\\n')}`;
  });
  const wasm = WASM_SEARCH_FUNCTIONS.map((name) =>
    wrap(
      `__attribute__((export_name("${name}"))) uint32_t ${name}(`,
      SEARCH_FUNCTIONS[name].map(([own, type]) =>
        declaration(own, (type.includes('[') && !WRITTEN.includes(own) ? 'const ' : '') + type),
      ),
      ');',
    ).replaceAll('( ', '('),
  );
  return `${NOTICE}#include <stdint.h>

// kernels/search/layout.ts
enum {
${constants.join('\n')}
};

// Entries of the arrays \`layout\` and \`blockMaxLayout\`.
${fields('POSTING', POSTING_LAYOUT)}
${fields('BLOCK_MAX', BLOCK_MAX_LAYOUT)}

// Positions of the parameters of each function that takes typed arrays, and their kinds.
enum argument_kind { ${[...new Set(Object.values(ARGUMENT_KINDS))].join(', ')} };
${functions.join('\n')}

#ifdef __wasm__
${wasm.join('\n')}
#endif
`;
}

/** Explicit property reads: reading the names of the table in a loop took 4 us per call. */
function namesModule(): string {
  const kernels = entries(ARENA_KERNELS).map(([name, { parameters }]) => {
    const values = Object.keys(parameters).map((parameter) => `call.${parameter}`);
    return `    ${name}: (call) =>\n      kernels.${name}(\n        ${values.join(',\n        ')},\n      ),`;
  });
  return `// Generated from kernels/table.ts by \`npm run generate:kernels\`. Do not edit.
import type { PositionalKernels, RawKernels } from '../runtime/raw-kernels.ts';

/** Gives kernels that take their arguments by position the arguments by name. */
export function byName(kernels: PositionalKernels): RawKernels {
  return {
${kernels.join('\n')}
  };
}
`;
}

const files: Record<string, string> = {
  'kernels.h': kernelsHeader(),
  'kernel-calls.h': callsHeader(),
  'search-layout.h': layoutHeader(),
  'by-name.ts': namesModule(),
};
const folder = join(packageRoot, 'kernels', 'generated');
mkdirSync(folder, { recursive: true });
for (const [name, text] of entries(files)) {
  const path = join(folder, name);
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
    console.log(`kernels/generated/${name} is older than kernels/table.ts: run npm run generate:kernels`);
    process.exitCode = 1;
  }
}
