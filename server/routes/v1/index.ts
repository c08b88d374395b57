import type { TypedApp } from '../route-context.ts';
import { aliasRoutes, collectionRoutes } from './collections.ts';
import type { V1Options } from './context.ts';
import { v1DocumentRoutes } from './documents.ts';
import { fileRoutes } from './files.ts';
import { v1SearchRoutes } from './search.ts';
import { taskRoutes } from './tasks.ts';

/** All routes of `/v1`. */
export async function v1Routes(app: TypedApp, options: V1Options): Promise<void> {
  await app.register(collectionRoutes, options);
  await app.register(aliasRoutes, options);
  await app.register(v1DocumentRoutes, options);
  await app.register(fileRoutes, options);
  await app.register(v1SearchRoutes, options);
  await app.register(taskRoutes, options);
}
