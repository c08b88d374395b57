import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { commit } from '../../cli/commit.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('commit of the checkout that runs');

function repository(): string {
  const folder = tempFolder();
  const git = (...parameters: string[]) => execFileSync('git', parameters, { cwd: folder, stdio: 'pipe' });
  git('init', '-q');
  git('-c', 'user.name=a', '-c', 'user.email=a@b.example', 'commit', '-q', '--allow-empty', '-m', 'theirs');
  return folder;
}

test('a package inside somebody else’s repository has none', () => {
  const installed = join(repository(), 'node_modules', 'winnow');
  mkdirSync(installed, { recursive: true });
  assert.is(commit(installed), undefined);
});

test('the top of a checkout has its own', () => {
  const folder = repository();
  const head = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: folder, encoding: 'utf8' });
  assert.is(commit(folder), head.trim());
});

test.run();
