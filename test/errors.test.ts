import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WinnowError } from '../errors.ts';

test('an error prints its code, place, message and way out on one line', () => {
  const error = new WinnowError('WINNOW_BAD_ROW', 'not JSON', {
    place: 'docs.jsonl:7',
    hint: 'fix or remove the line',
  });
  assert.is(String(error), 'WINNOW_BAD_ROW docs.jsonl:7: not JSON (fix or remove the line)');
  assert.is(error.status, 400);
});

test.run();
