import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../package-root.ts';

/**
 * What Node is given to run the command line: the built program, which starts several times faster, where no source file is newer
 * than it; otherwise the sources.
 */
export function programArguments(): string[] {
  const built = join(packageRoot, 'dist/cli/main.js');
  if (existsSync(built) && newestSource() < statSync(built).mtimeMs) return [built];
  return ['--import', import.meta.resolve('tsx'), join(packageRoot, 'cli/main.ts')];
}

/** Time of the newest file that the build reads. */
function newestSource(): number {
  const { include } = JSON.parse(readFileSync(join(packageRoot, 'tsconfig.build.json'), 'utf8'));
  const files = (include as string[]).flatMap((name) => {
    const path = join(packageRoot, name);
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => join(entry.parentPath, entry.name));
  });
  return Math.max(...files.map((file) => statSync(file).mtimeMs));
}
