import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../package-root.ts';

const test = suite('sizes');

const FOLDERS =
  'corpus kernels encoder indexer query backends app server evaluation cli bench scripts examples page'.split(
    ' ',
  );
const MAX_FILE_LINES = 350;
const MAX_FUNCTION_LINES = 60;

const sources = [
  ...readdirSync(packageRoot),
  ...FOLDERS.flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true }).map((name) => join(folder, String(name))),
  ),
].filter((name) => /\.(ts|mjs|js|c|h)$/.test(name) && !/generated|\bbuild\//.test(name));

const lines = (text: string): number => text.trimEnd().split('\n').length;

test('no file of product code is longer than one reads in one go', () => {
  const long = sources
    .map((name) => [name, lines(readFileSync(join(packageRoot, name), 'utf8'))] as const)
    .filter(([, count]) => count > MAX_FILE_LINES);
  assert.equal(long, []);
});

test('no function is longer than a screen', () => {
  const long: string[] = [];
  for (const name of sources.filter((one) => /\.(ts|js)$/.test(one))) {
    const file = ts.createSourceFile(
      name,
      readFileSync(join(packageRoot, name), 'utf8'),
      ts.ScriptTarget.Latest,
      true,
    );
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node) && 'body' in node && node.body) {
        const [first, last] = [node.getStart(), node.end].map(
          (position) => file.getLineAndCharacterOfPosition(position).line,
        );
        if (last! - first! + 1 > MAX_FUNCTION_LINES) long.push(`${name}:${first! + 1}`);
      }
      ts.forEachChild(node, visit);
    };
    visit(file);
  }
  assert.equal(long, []);
});

test.run();
