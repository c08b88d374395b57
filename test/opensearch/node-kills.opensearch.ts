import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { say } from '../helpers/say.ts';
import { killNodes } from '../torture/node-kills.ts';
import { clusterUnavailable } from './suite.ts';

const test = suite('nodes that are killed');
const why = clusterUnavailable();

/** A short form of `npm run torture -- cluster`. */
const run = async (): Promise<void> => {
  const report = await killNodes(2000, 1, 20_261_127);
  say(JSON.stringify(report));
  assert.ok(report.searches > 0);
  assert.equal([report.searchesFailed, report.missed], [0, 0]);
};
const name = 'lose no acknowledged document and fail no search after a repetition';
if (why) test.skip(`${name}: ${why}`, run);
else test(name, run);

test.run();
