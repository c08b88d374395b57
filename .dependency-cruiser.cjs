// The arrows of ARCHITECTURE.md: each folder may import only what its row lists.
// defined.ts, durable-files.ts, errors.ts, package-root.ts, random.ts, version.ts and worker-thread.ts at the root are open to all; index.ts is the library entry.
const arrows = {
  corpus: [],
  kernels: [],
  encoder: ['kernels'],
  'encoder/transformer': ['kernels'],
  indexer: ['kernels', 'corpus/types'],
  query: ['indexer', 'encoder', 'kernels', 'corpus/types'],
  backends: ['query', 'indexer', 'encoder', 'corpus/types'],
  app: ['query', 'backends', 'indexer', 'corpus'],
  'app/training': ['app/ingest', 'query', 'encoder', 'indexer', 'corpus', 'evaluation'],
  server: ['app', 'query', 'indexer', 'corpus'],
  page: ['app', 'query'],
  evaluation: ['app', 'backends', 'query', 'encoder', 'indexer', 'corpus'],
};
/** The folders inside a folder that have a row of their own may not be imported by it, nor by those that may import the folder. */
const inner = (folder) => {
  const names = Object.keys(arrows)
    .filter((other) => other.startsWith(`${folder}/`))
    .map((other) => other.slice(folder.length + 1));
  return names.length > 0 && folder === 'app' ? `(?!(${names.join('|')})/)` : '';
};
const shared = '^(defined|durable-files|errors|package-root|random|version|worker-thread)\\.ts$';
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    ...Object.entries(arrows).map(([folder, allowed]) => ({
      name: `${folder}-arrows`,
      comment: `${folder}/ may import only ${allowed.join(', ') || 'nothing'} of this project`,
      severity: 'error',
      // A folder with a row of its own has the arrows of that row.
      from: {
        path: `^${folder}/`,
        pathNot: Object.keys(arrows)
          .filter((other) => other.startsWith(`${folder}/`))
          .map((other) => `^${other}/`),
      },
      to: {
        path: '^(corpus|kernels|encoder|indexer|query|backends|app|server|evaluation|cli|client|bench|test|index\\.ts)',
        pathNot: [
          shared,
          `^${folder}/${inner(folder)}`,
          ...allowed.map((other) => (other.includes('/') ? `^${other}` : `^${other}/${inner(other)}`)),
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
