import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { WinnowError } from '../../../errors.ts';
import { parseMoment, parseYear, showMoment } from '../../../indexer/segment/dates.ts';
import { coerce } from '../../../indexer/segment/filter-columns.ts';
import { packageRoot } from '../../../package-root.ts';

const test = suite('dates');

test('days and times with a zone are moments; anything else is not', () => {
  const accepted: [string, string][] = [
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['0001-01-01', '0001-01-01T00:00:00.000Z'],
    ['2024-02-29T12:30:15Z', '2024-02-29T12:30:15.000Z'],
    ['2024-02-29t12:30:15.987654z', '2024-02-29T12:30:15.987Z'],
    ['2024-01-01T00:30:00+01:00', '2023-12-31T23:30:00.000Z'],
    ['2023-12-31T23:30:00-01:30', '2024-01-01T01:00:00.000Z'],
  ];
  for (const [text, iso] of accepted) assert.is(showMoment(parseMoment('date', text)!), iso);
  const refused = [
    '2024',
    '2024-02',
    '2020-02-31',
    '2023-02-29',
    '2024-13-01',
    '2024-00-10',
    '2024-01-00',
    '2024-02-29T12:30',
    '2024-02-29T12:30:15',
    '2024-02-29 12:30:15Z',
    '2024-02-29T24:00:00Z',
    '2024-02-29T12:60:00Z',
    '2024-02-29T12:30:60Z',
    '2024-02-29T12:30:15+24:00',
    '2024-02-29T12:30:15+0100',
    '01.05.2024',
    '5/1/2024',
    'chapter 7',
    '',
    ' 2024-02-29',
    '12024-01-01',
    '1700000000',
    1_700_000_000_000,
    8.65e15,
    2024,
    null,
    true,
    [],
    {},
    Number.NaN,
  ];
  for (const value of refused) assert.is(parseMoment('date', value), undefined, String(value));
});

test('any day of the calendar is what Date says of it, and no other day is one', () => {
  fc.assert(
    fc.property(fc.nat(9999), fc.nat(14), fc.nat(33), (year, month, day) => {
      const pad = (value: number, width: number) => String(value).padStart(width, '0');
      const text = `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
      const reference = new Date(`${text}T00:00:00Z`);
      const isDay = !Number.isNaN(reference.getTime()) && reference.toISOString().startsWith(text);
      assert.is(parseMoment('date', text), isDay ? reference.getTime() : undefined);
    }),
    { numRuns: 2000 },
  );
});

test('years and epochs count only where they are declared', () => {
  assert.equal([parseYear('2024'), parseYear(2024), parseYear('0099')], [2024, 2024, 99]);
  for (const value of ['24', '2024-01-01', 20_240, -1, 1.5, '', null]) assert.is(parseYear(value), undefined);
  assert.is(showMoment(parseMoment('epoch-s', 1_700_000_000)!), '2023-11-14T22:13:20.000Z');
  assert.is(showMoment(parseMoment('epoch-s', '1700000000')!), '2023-11-14T22:13:20.000Z');
  assert.is(showMoment(parseMoment('epoch-ms', 1_700_000_000_500)!), '2023-11-14T22:13:20.500Z');
  assert.is(showMoment(parseMoment('epoch-ms', '2023-11-14')!), '2023-11-14T00:00:00.000Z');
  for (const value of [8.65e15, Number.POSITIVE_INFINITY, 'soon', '1e3', ''])
    assert.is(parseMoment('epoch-ms', value), undefined);
  assert.is(parseMoment('epoch-s', 8.64e12 + 1), undefined);
  assert.is(showMoment(8.65e15), 8.65e15);
});

test('a refusal names the field, the value and the accepted form', () => {
  assert.throws(
    () => coerce({ name: 'seen', type: 'date' }, '2020-02-31'),
    (error: WinnowError) =>
      error.code === 'WINNOW_BAD_ROW' &&
      /"2020-02-31" is no date: an ISO 8601 day such as/.test(error.message) &&
      error.place === 'field "seen"',
  );
});

test("nothing depends on the machine's time zone", () => {
  const script =
    "import { parseMoment } from './indexer/segment/dates.ts'; process.stdout.write(parseMoment('date', '2024-03-31') + ' ' + parseMoment('date', '2024-03-31T02:30:00+02:00'))";
  const outputs = ['UTC', 'America/New_York', 'Pacific/Kiritimati'].map((zone) => {
    const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: packageRoot,
      env: { ...process.env, TZ: zone },
      encoding: 'utf8',
    });
    return stdout;
  });
  assert.equal(new Set(outputs).size, 1);
  assert.is(outputs[0]!.trim(), `${Date.UTC(2024, 2, 31)} ${Date.UTC(2024, 2, 31, 0, 30)}`);
});

test.run();
