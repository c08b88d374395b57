// The arrows of ARCHITECTURE.md: each folder may import only what its row lists.
// defined.ts, errors.ts, package-root.ts, version.ts and worker-thread.ts at the root are open to all; index.ts is the library entry.
const arrows = {
  corpus: [],
  kernels: [],
  encoder: ['kernels'],
  'encoder/transformer': ['kernels'],
  indexer: ['kernels', 'corpus/types'],
  query: ['indexer', 'encoder', 'kernels', 'corpus/types'],
  backends: ['query', 'indexer', 'encoder', 'corpus/types'],
  app: ['query', 'backends', 'indexer', 'corpus'],
  server: ['app', 'query', 'indexer', 'corpus'],
  page: ['app', 'query'],
  evaluation: ['app', 'backends', 'query', 'encoder', 'indexer', 'corpus'],
};
const shared = '^(defined|errors|package-root|version|worker-thread)\\.ts$';
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    ...Object.entries(arrows).map(([folder, allowed]) => ({
      name: `${folder}-arrows`,
      comment: `${folder}/ may import only ${allowed.join(', ') || 'nothing'} of this project`,
      severity: 'error',
      from: { path: `^${folder}/` },
      to: {
        path: '^(corpus|kernels|encoder|indexer|query|backends|app|server|evaluation|cli|client|bench|test|index\\.ts)',
        pathNot: [
          shared,
          `^${folder}/`,
          ...allowed.map((other) => (other.includes('/') ? `^${other}` : `^${other}/`)),
        ],
      },
    })),
    {
      name: 'client-arrows',
      comment:
        'client/ runs in browsers: it loads nothing but itself, and shares the types of requests and answers',
      severity: 'error',
      from: { path: '^client/' },
      to: { pathNot: '^client/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'client-types',
      comment: 'client/ may share only types of app/service/types.ts, query, indexer and corpus/types.ts',
      severity: 'error',
      from: { path: '^client/' },
      to: { pathNot: '^(client/|query/|indexer/|corpus/types|app/service/types)' },
    },
    {
      name: 'heavy-packages-are-lazy',
      comment:
        'transformers, onnxruntime and the client of OpenSearch cost hundreds of ms and MB: only a dynamic import() may load them',
      severity: 'error',
      from: { path: '^(corpus|kernels|encoder|indexer|query|backends|app|server|evaluation|cli)/' },
      to: {
        path: '@huggingface/transformers|onnxruntime|@opensearch-project/opensearch',
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
