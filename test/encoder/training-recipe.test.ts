import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

// The GPU recipe is PyTorch; its own tests are Python. They run here if a Python with the needed packages is found:
// WINNOW_PYTHON=/path/to/python, else python3.
const python = process.env.WINNOW_PYTHON ?? 'python3';
const training = join(import.meta.dirname, '..', '..', 'encoder', 'training');
const recipe = join(training, 'gpu');

/** Why a suite cannot run, or undefined when all of its packages import. */
function missing(packages: readonly string[]): string | undefined {
  const probe = spawnSync(python, ['-c', `import ${packages.join(', ')}`], { encoding: 'utf8' });
  if (probe.error) return `${python} is not installed`;
  if (probe.status !== 0) return probe.stderr.trim().split('\n').at(-1) ?? 'a package is missing';
  return undefined;
}

function suite(name: string, module: string, packages: readonly string[], folder = recipe): void {
  const reason = missing(packages);
  if (reason !== undefined) {
    process.stderr.write(`skipped: ${name}: ${reason} (set WINNOW_PYTHON to a Python that has it)\n`);
    test.skip(name, () => {});
    return;
  }
  test(name, () => {
    const env = { ...process.env, OMP_NUM_THREADS: '1', PYTHONDONTWRITEBYTECODE: '1' };
    const run = spawnSync(python, ['-m', 'unittest', module], { cwd: folder, encoding: 'utf8', env });
    assert.is(run.status, 0, run.stderr);
    assert.match(run.stderr, /Ran [1-9]\d* tests?/);
  });
}

const base = ['torch', 'numpy', 'safetensors'];
suite('training losses, sparse head gradient, ensemble, checkpoints and data', 'test_losses', base);
suite('every sparsity method has its defining property', 'test_sparsity', base, join(training, 'sparsity'));
suite('an anchor holds a model to its start', 'test_anchor', base);
suite('sparse bodies come near their dense encoder', 'test_encoder_body', base, join(training, 'sparsity'));
suite('nothing evaluated enters the training data', 'test_data', [...base, 'tokenizers']);
suite('ONNX export equals the encoder and BertForMaskedLM', 'test_export', [...base, 'onnx', 'onnxruntime']);

// A release runs unattended on a rented machine: a failing step must neither block the others nor go unnoticed.
for (const [broken, done, exitCode] of [
  ['nothing', 'teachers base-vectors a b mix', 0],
  ['cross_encoder.py', 'base-vectors a mix', 0],
  ['soup.py', 'base teachers', 1],
  ['prepare.py', 'warm-base', 1],
  ['build_data.py', '', 1],
] as const) {
  test(`release.sh ends when ${broken} is broken`, () => {
    const work = mkdtempSync(join(tmpdir(), 'winnow-release-'));
    try {
      // Replaces every script of the recipe: this test checks only the order and the exit codes of the steps.
      writeFileSync(join(work, 'python3'), '#!/bin/sh\n[ "$1" != "$BROKEN" ]\n', { mode: 0o755 });
      const env = { ...process.env, PATH: `${work}:${process.env.PATH}`, BROKEN: broken, WINNOW: '' };
      const run = spawnSync('bash', [join(recipe, 'release.sh'), work], {
        encoding: 'utf8',
        env,
        timeout: 60_000,
      });
      assert.is(run.status, exitCode, run.stderr);
      const steps = readFileSync(join(work, 'progress'), 'utf8').trim().split('\n');
      const succeeded = steps.filter((line) => line.endsWith(' 0')).map((line) => line.split(' ')[1]);
      for (const name of done.split(' ').filter(Boolean))
        assert.ok(succeeded.includes(name), `${name} of ${succeeded}`);
      if (broken !== 'nothing') assert.ok(steps.some((line) => !line.endsWith(' 0')));
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
}

test.run();
