import { ENCODER_BACKENDS } from '../encoder/types.ts';
import { FilterType } from '../indexer/format/format.ts';

/** Options of `openIndex`. */
export const OPEN_OPTIONS = {
  model: { type: 'string', minLength: 1 },
  filterFields: {
    type: 'array',
    items: {
      type: 'object',
      required: ['name', 'type'],
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 256 },
        type: { type: 'string', enum: Object.keys(FilterType) },
      },
      additionalProperties: false,
    },
    maxItems: 256,
  },
  reranker: { type: 'string', minLength: 1 },
  earlyExit: { type: 'boolean', default: true },
  create: { type: 'boolean', default: false },
  readOnly: { type: 'boolean', default: false },
  lexicalOnly: { type: 'boolean', default: false },
  vectors: { type: 'boolean', default: true },
  backgroundWrites: { type: 'boolean', default: false },
  backend: { type: 'string', enum: ENCODER_BACKENDS },
  threads: { type: 'integer', minimum: 0, maximum: 64 },
  maxBatchTokens: { type: 'integer', minimum: 1, maximum: 1_048_576 },
} as const;
