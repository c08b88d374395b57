import type { SearchService } from '../../../app/service/search-service.ts';
import { defined } from '../../../defined.ts';
import { CollectionPath } from '../../schemas/v1/common.ts';
import { Task, TaskBody, TaskList, TaskPath, TaskQuery } from '../../schemas/v1/tasks.ts';
import { failures, type TypedApp } from '../route-context.ts';
import { ADMIN, type V1Options } from './context.ts';

const tags = ['tasks'];

/** Tasks: long work that goes on when its request has been answered. */
export async function taskRoutes(app: TypedApp, { service }: V1Options): Promise<void> {
  app.post(
    '/v1/collections/:c/tasks',
    {
      config: ADMIN,
      schema: {
        tags,
        summary: 'Start a task',
        description:
          'Long work, done one task after another: index-file and index-folder read what `path` names in the folder of imports, evaluate measures the collection with a BEIR folder there, snapshot copies the index, compact makes its file small. A task survives a restart of the server.',
        params: CollectionPath,
        body: TaskBody,
        response: { 202: Task, ...failures },
      },
    },
    async ({ params, body }, reply) => {
      const task = service.addTask(params.c, defined(body));
      return reply.status(202).header('location', `/v1/tasks/${task.id}`).send(task);
    },
  );
  addTaskRoutes(app, service);
}

function addTaskRoutes(app: TypedApp, { tasks }: SearchService): void {
  app.get(
    '/v1/tasks',
    {
      schema: {
        tags,
        summary: 'List tasks',
        description: 'Newest first: all that wait or run, and the last 1,000 that are finished.',
        querystring: TaskQuery,
        response: { 200: TaskList, ...failures },
      },
    },
    async ({ query }) => ({ tasks: tasks.list(defined(query)) }),
  );
  const schema = { tags, params: TaskPath };
  app.get(
    '/v1/tasks/:id',
    {
      schema: {
        ...schema,
        summary: 'Look at a task',
        description: 'Its status, progress, estimated time left, and result or error.',
        response: { 200: Task, ...failures },
      },
    },
    async ({ params }) => tasks.get(params.id),
  );
  app.delete(
    '/v1/tasks/:id',
    {
      config: ADMIN,
      schema: {
        ...schema,
        summary: 'Cancel a task',
        description:
          'A waiting task is cancelled at once, a running one as soon as it can stop; what it has done stays. A finished one stays as it is.',
        response: { 200: Task, ...failures },
      },
    },
    async ({ params }) => tasks.cancel(params.id),
  );
}
