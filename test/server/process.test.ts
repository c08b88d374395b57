import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../app/search-index.ts';
import { cli } from '../helpers/cli.ts';
import { ask, serve, stop } from '../helpers/served.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { fuzzTarget } from '../torture/fuzz-target.ts';
import { fuzzServer } from '../torture/http-fuzz.ts';
import { killServers } from '../torture/serve-kills.ts';
import { fuzzV1 } from '../torture/v1-fuzz.ts';

const test = suite('winnow serve');
const seed = Number(process.env.FC_SEED ?? Date.now() & 0xffffff);

async function indexFolder(): Promise<string> {
  const folder = join(tempFolder(), 'index');
  const filterFields = [{ name: 'year', type: 'number' }] as const;
  await openIndex(folder, { create: true, lexicalOnly: true, filterFields }).close();
  return folder;
}

test('a port that is taken is an error with a code and exit status 1', async () => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as net.AddressInfo;
  const { code, stderr } = await cli('serve', '--index', await indexFolder(), '--port', `${port}`);
  taken.close();
  assert.is(code, 1);
  assert.match(stderr, /^WINNOW_SERVER 127\.0\.0\.1:\d+: cannot listen: .*EADDRINUSE/);
});

test('SIGTERM with an upload and half-open connections ends soon with exit status 0 and what was acknowledged', async () => {
  const index = await indexFolder();
  const served = await serve(index);
  const row = { method: 'POST', path: '/documents', headers: { 'content-type': 'application/x-ndjson' } };
  assert.is((await ask(served.port, { ...row, body: '{"id":"kept","text":"Acknowledged."}' })).status, 200);
  const sockets = [
    'POST /documents HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: 999\r\n\r\n{"id":"half"',
    'POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{',
    'GET /health HTT',
    '',
  ].map((text) => {
    const socket = net.connect({ port: served.port, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.write(text);
    return socket;
  });
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  assert.is((await ask(served.port, { method: 'GET', path: '/health' })).status, 200);
  const { code, ms } = await stop(served, 'SIGTERM');
  assert.is(code, 0, served.complaints());
  assert.ok(ms < 4000, `${ms} ms`);
  const engine = openIndex(index, { readOnly: true });
  assert.is(engine.get('kept')?.text, 'Acknowledged.');
  await engine.close();
});

test('requests of every kind have an answer, and documents read back equal (npm run torture -- http)', async () => {
  const served = await serve(await indexFolder());
  const report = await fuzzServer(served, seed, 400);
  const { code } = await stop(served, 'SIGTERM');
  assert.equal(report.faults, []);
  assert.ok(report.readBack > 0);
  assert.is(code, 0, `seed ${seed}`);
});

test('every operation of /v1 and MCP answers what it is asked, with keys and tasks (npm run torture -- http)', async () => {
  const target = await fuzzTarget(tempFolder());
  const report = await fuzzV1(target, seed, 400);
  const { code } = await stop(target.served, 'SIGTERM');
  assert.equal(report.faults, []);
  assert.ok(report.readBack > 0 && Object.keys(report.succeeded).length > 10, `seed ${seed}`);
  assert.is(code, 0, `seed ${seed}`);
});

test('nothing acknowledged is lost when servers are killed (npm run torture -- serve-kills)', async () => {
  const report = await killServers(tempFolder(), seed, 4);
  assert.is(report.kills + report.terminations, 4);
  assert.ok(report.acknowledged > 0, `seed ${seed}`);
});

test.run();
