// The arrows of ARCHITECTURE.md: each folder may import only what its row lists.
// errors.ts, package-root.ts and worker-thread.ts at the root are open to all; index.ts is the library entry.
const arrows = {
  corpus: [],
  kernels: [],
  encoder: ['kernels'],
  indexer: ['kernels', 'corpus/types'],
  query: ['indexer', 'encoder', 'kernels'],
  app: ['query', 'indexer', 'corpus'],
  server: ['app', 'query', 'indexer', 'corpus'],
  evaluation: ['query', 'corpus'],
};
const shared = '^(errors|package-root|worker-thread)\\.ts$';
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    ...Object.entries(arrows).map(([folder, allowed]) => ({
      name: `${folder}-arrows`,
      comment: `${folder}/ may import only ${allowed.join(', ') || 'nothing'} of this project`,
      severity: 'error',
      from: { path: `^${folder}/` },
      to: {
        path: '^(corpus|kernels|encoder|indexer|query|app|server|evaluation|cli|bench|test|index\\.ts)',
        pathNot: [
          shared,
          `^${folder}/`,
          ...allowed.map((other) => (other.includes('/') ? `^${other}` : `^${other}/`)),
        ],
      },
    })),
    {
      name: 'heavy-packages-are-lazy',
      comment:
        'transformers and onnxruntime cost hundreds of ms and MB: only a dynamic import() may load them',
      severity: 'error',
      from: { path: '^(corpus|kernels|encoder|indexer|query|app|server|evaluation|cli)/' },
      to: {
        path: '@huggingface/transformers|onnxruntime',
        dynamic: false,
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'no-tests-in-product',
      severity: 'error',
      from: { pathNot: '^(test|scripts|bench)/' },
      to: { path: '^test/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.mjs', '.cjs'] },
  },
};
