import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { serveSettings } from '../../cli/serve/serve-settings.ts';
import { addSettings, settingsOf } from '../../cli/serve/settings.ts';
import { flagOf, SETTINGS, variableOf } from '../../cli/serve/settings-table.ts';
import { packageRoot } from '../../package-root.ts';
import { startScriptWith } from '../helpers/cli.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('settings of winnow serve');

/** The settings of a run. */
function settings(flags: readonly string[], environment: Record<string, string> = {}, yaml?: string) {
  const command = addSettings(
    new Command('serve').configureOutput({ writeErr: () => {} }).exitOverride(),
  ).action(() => {});
  const file = join(tempFolder(), 'winnow.yaml');
  if (yaml !== undefined) writeFileSync(file, yaml);
  command.parse([...flags, ...(yaml === undefined ? [] : ['--config', file])], { from: 'user' });
  return settingsOf(command, environment);
}

/** Place, message and hint of the error that a run ends with. */
function failure(...parameters: Parameters<typeof settings>): string {
  try {
    settings(...parameters);
  } catch (error) {
    assert.is((error as { code: string }).code, 'WINNOW_BAD_ARGUMENT', String(error));
    return String(error);
  }
  return 'no error';
}

test('flags overrule variables, which overrule the file, which overrules defaults', () => {
  const yaml = 'port: 1\nlog: debug\nmaxSnapshots: 3\n';
  const found = settings(['--port', '3'], { WINNOW_PORT: '2', WINNOW_LOG: 'warn' }, yaml);
  assert.equal([found.port, found.log, found.maxSnapshots, found.host], [3, 'warn', 3, '127.0.0.1']);
  // A flag with the value of the default is a flag all the same.
  assert.is(settings(['--port', '7700'], { WINNOW_PORT: '2' }).port, 7700);
});

test('lists and switches are read from each place', () => {
  assert.equal(settings(['--allow-host', 'a', '--allow-host', 'b']).allowHost, ['a', 'b']);
  assert.equal(settings([], { WINNOW_ALLOW_HOST: 'a, b' }).allowHost, ['a', 'b']);
  assert.equal(settings([], {}, 'allowHost: [a, b]').allowHost, ['a', 'b']);
  assert.equal(settings([], {}, 'allowHost: a').allowHost, ['a']);
  assert.is(settings(['--read-only']).readOnly, true);
  assert.is(settings([], { WINNOW_READ_ONLY: 'true' }).readOnly, true);
  assert.is(settings([], { WINNOW_READ_ONLY: 'true' }, 'readOnly: false').readOnly, true);
});

test('unknown names are refused in each place, with the most similar one', () => {
  assert.match(
    failure([], { WINNOW_PROT: '1' }),
    /environment variable WINNOW_PROT.*did you mean WINNOW_PORT/,
  );
  assert.match(failure([], {}, 'body-idle-ms: 5'), /winnow\.yaml: body-idle-ms.*did you mean bodyIdleMs/);
  assert.match(failure([], {}, 'zzzzzzzzzz: 5'), /see docs\/settings\.md/);
  assert.throws(() => settings(['--prot', '1']), /--port/);
});

test('values that are not allowed are refused in each place', () => {
  assert.match(failure([], { WINNOW_PORT: '70000' }), /WINNOW_PORT.*whole number from 0 to 65535/);
  assert.match(failure([], {}, 'port: [1, 2]'), /port.*Expected one value/);
  assert.match(failure([], {}, 'log: loud'), /log.*silent, error/);
  assert.match(failure([], {}, 'readOnly: maybe'), /true or false/);
  assert.match(failure([], {}, '- port'), /name: value/);
  assert.match(failure([], {}, 'port: ['), /cannot be read/);
  assert.match(failure(['--config', '/does/not/exist.yaml']), /ENOENT/);
});

test('variables of other parts of Winnow, of tests and of Kubernetes are no settings', () => {
  const others = {
    WINNOW_KERNELS: 'wasm',
    WINNOW_TEST_SEED: '1',
    WINNOW_SERVICE_HOST: '10.0.0.1',
    WINNOW_PORT: 'tcp://10.0.0.1:7700',
    WINNOW_PORT_7700_TCP_ADDR: '10.0.0.1',
  };
  assert.is(settings([], others).port, 7700);
});

test('each setting has names of its own, and a file may set every one', () => {
  assert.is(new Set(SETTINGS.map(flagOf)).size, SETTINGS.length);
  assert.is(new Set(SETTINGS.map(variableOf)).size, SETTINGS.length);
  for (const { name, value, choices, parse, default: preset } of SETTINGS) {
    const given = value === undefined ? true : (choices?.[0] ?? preset ?? (parse ? 1 : 'text'));
    assert.ok(settings([], {}, `${name}: ${given}`)[name] !== undefined, name);
  }
});

test('TLS needs both files, and an index is needed', () => {
  const read = (...flags: string[]) => {
    const command = addSettings(new Command('serve')).action(() => {});
    command.parse(flags, { from: 'user' });
    return () => serveSettings(command);
  };
  assert.throws(read('--index', 'x', '--tls-cert', 'a.pem'), /certificate and its key/);
  assert.throws(read(), /the folder is missing/);
});

test('winnow serve reads the environment', async () => {
  const child = startScriptWith({ WINNOW_INDX: 'x' }, join('cli', 'main.ts'), 'serve');
  let complaint = '';
  child.stderr!.on('data', (chunk) => {
    complaint += chunk;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.is(code, 1, packageRoot);
  assert.match(complaint, /^WINNOW_BAD_ARGUMENT environment variable WINNOW_INDX.*WINNOW_INDEX/);
});

test.run();
