import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../../package-root.ts';

const test = suite('priority of threads');

const module = join(packageRoot, 'kernels/native/build/winnow.node');

// Only Linux says what the priority of a thread is.
if (process.platform === 'linux' && existsSync(module))
  test('a thread that lowers its priority lowers no other', async () => {
    const before = getPriority();
    const source = `
      const { parentPort } = require('node:worker_threads');
      require(${JSON.stringify(module)}).lowerPriority();
      parentPort.postMessage(require('node:os').getPriority());
    `;
    const [lowered] = await once(new Worker(source, { eval: true }), 'message');
    assert.is(lowered, Math.min(19, before + 5));
    assert.is(getPriority(), before);
  });

test.run();
