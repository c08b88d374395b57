import { Type } from 'typebox';
import {
  TASK_STATUSES,
  TASK_TYPES,
  type Task as TaskInfo,
  type TaskRequest,
} from '../../../app/service/types.ts';
import { type Agrees, MODES, STAGES } from '../../../query/request.ts';
import { CLOSED, Failure, integer, text } from './common.ts';

const path = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });

const INDEXING = {
  path: path('In the folder of imports: relative, without ".."'),
  deleteMissing: Type.Optional(
    Type.Boolean({ description: 'Delete documents that the input no longer has; default: false' }),
  ),
  passages: Type.Optional(Type.Boolean({ description: 'Cut long texts into passages; default: true' })),
};

/** One schema with all properties and no defaults, so that an error names the property at fault; the service checks which belong together. */
export const TaskBody = Type.Unsafe<TaskRequest>(
  Type.Object(
    {
      type: Type.Unsafe<TaskRequest['type']>({
        type: 'string',
        enum: TASK_TYPES,
        description: 'What is done',
      }),
      ...Object.fromEntries(Object.entries(INDEXING).map(([name, schema]) => [name, Type.Optional(schema)])),
      split: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 64,
          pattern: '^[\\w-]+$',
          description: 'Of evaluate: the judgements of this split; default: test',
        }),
      ),
      mode: Type.Optional(
        Type.Unsafe<(typeof MODES)[number]>({
          type: 'string',
          enum: MODES,
          description: 'Of evaluate: the ranking',
        }),
      ),
      rerank: Type.Optional(
        Type.Unsafe<boolean | (typeof STAGES)[number]>({
          enum: [false, true, ...STAGES],
          description: 'Of evaluate: reorder the best hits, as searches do',
        }),
      ),
      depth: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 1000, description: 'Of evaluate: hits per query; default: 100' }),
      ),
    },
    CLOSED,
  ),
);

const TASK = Type.Object({
  id: text('Number of the task'),
  type: Type.Unsafe<TaskInfo['type']>({ type: 'string', enum: TASK_TYPES }),
  collection: text('Name of its collection'),
  status: Type.Unsafe<TaskInfo['status']>({ type: 'string', enum: TASK_STATUSES }),
  request: Type.Unsafe<TaskRequest>(
    Type.Object({}, { additionalProperties: true, description: 'As it was asked for' }),
  ),
  progress: Type.Object(
    {
      done: Type.Number({ description: 'Units done' }),
      total: Type.Optional(Type.Number({ description: 'All units, where known' })),
      unit: text('What is counted: bytes, queries, steps'),
    },
    { description: 'How far it is' },
  ),
  etaSeconds: Type.Optional(Type.Number({ description: 'Estimated time left; absent where unknown' })),
  createdAt: text('ISO 8601, UTC'),
  startedAt: Type.Optional(text('ISO 8601, UTC')),
  finishedAt: Type.Optional(text('ISO 8601, UTC')),
  attempts: integer('How often it was started; more than once after a restart of the server'),
  result: Type.Optional(
    Type.Unsafe<Readonly<Record<string, unknown>>>(
      Type.Object({}, { additionalProperties: true, description: 'What came of it, by type' }),
    ),
  ),
  error: Type.Optional(Failure),
});

true satisfies Agrees<
  Pick<TaskInfo, 'progress' | 'error' | 'etaSeconds' | 'attempts'>,
  Pick<Type.Static<typeof TASK>, 'progress' | 'error' | 'etaSeconds' | 'attempts'>
>;
export const Task = Type.Unsafe<TaskInfo>(TASK);

export const TaskPath = Type.Object({
  id: Type.String({ pattern: '^[0-9]{1,15}$', description: 'Of the task' }),
});

export const TaskQuery = Type.Object(
  {
    collection: Type.Optional(Type.String({ description: 'Only tasks of this collection' })),
    status: Type.Optional(
      Type.Unsafe<TaskInfo['status']>({
        type: 'string',
        enum: TASK_STATUSES,
        description: 'Only with this status',
      }),
    ),
  },
  CLOSED,
);

export const TaskList = Type.Object({ tasks: Type.Array(Task, { description: 'Newest first' }) });
