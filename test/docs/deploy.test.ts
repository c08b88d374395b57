import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { FastifyInstance } from 'fastify';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse, parseAllDocuments } from 'yaml';
import { openIndex, type SearchIndex } from '../../app/search-index.ts';
import { createProgram } from '../../cli/program.ts';
import { addSettings, settingsOf } from '../../cli/serve/settings.ts';
import { flagOf, SETTINGS, variableOf } from '../../cli/serve/settings-table.ts';
import { packageRoot } from '../../package-root.ts';
import { createServer } from '../../server/server.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('deploy/ fits the program');

const read = (name: string): string => readFileSync(join(packageRoot, name), 'utf8');
const variables = ['WINNOW_CONFIG', ...SETTINGS.map(variableOf)];

let index: SearchIndex;
let app: FastifyInstance;
test.before(async () => {
  index = openIndex(join(tempFolder(), 'index'), { create: true, lexicalOnly: true });
  app = await createServer(index.backend, { log: 'silent' });
});
test.after(async () => {
  await app.close();
  await index.close();
});

/** Parses the words after `winnow`, without running them. */
async function checkCommand(words: readonly string[]): Promise<void> {
  const program = await createProgram();
  let command: Command = program;
  let rest = [...words];
  for (;;) {
    const next = command.commands.find((one) => one.name() === rest[0]);
    if (!next) break;
    command = next;
    rest = rest.slice(1);
  }
  assert.is.not(command, program, words.join(' '));
  const known = command.options.flatMap(({ long, short }) => [long, short]);
  for (const word of rest.filter((one) => one.startsWith('--')))
    assert.ok(known.includes(word), `${words.join(' ')}: ${word}`);
}

/** Instructions of a Dockerfile, their continued lines joined. */
const instructions = (): string[][] =>
  read('deploy/Dockerfile')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => line.split(/\s+/));

test('the Dockerfile copies what exists, runs without root, and names settings, port and route that exist', async () => {
  const all = instructions();
  const of = (name: string) => all.filter(([first]) => first === name);
  for (const [, ...words] of of('COPY')) {
    const from = words.some((word) => word.startsWith('--from='));
    for (const source of words.filter((word) => !word.startsWith('--')).slice(0, -1)) {
      const path = from ? source.replace('/src/', '') : source;
      // Made by the build.
      if (!['node_modules', 'dist'].includes(path)) assert.ok(existsSync(join(packageRoot, path)), source);
    }
  }
  const set = of('ENV').flatMap(([, ...pairs]) => pairs.map((pair) => pair.split('=')[0]!));
  for (const name of set.filter((one) => one.startsWith('WINNOW_')))
    assert.ok(variables.includes(name), name);
  assert.equal(
    of('EXPOSE').map(([, port]) => Number(port)),
    [SETTINGS.find(({ name }) => name === 'port')!.default],
  );
  assert.equal(
    of('USER').map(([, user]) => user),
    ['node'],
  );
  assert.ok(all.findIndex(([name]) => name === 'USER') < all.findIndex(([name]) => name === 'CMD'));
  await checkCommand(JSON.parse(of('CMD')[0]!.slice(1).join(' ')) as string[]);
  const { bin } = JSON.parse(read('package.json')) as { bin: { winnow: string } };
  assert.match(read('deploy/Dockerfile'), `/app/${bin.winnow.slice(2)} `);
  const ignored = read('deploy/Dockerfile.dockerignore').trim().split('\n');
  for (const needed of ['models', 'kernels', 'server', 'demo'])
    assert.not.ok(ignored.includes(needed), needed);
});

test('the health check of the image sees a server that answers and one that does not', async () => {
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as { port: number };
  const check = async (port: number) => {
    const { spawn } = await import('node:child_process');
    const child = spawn(process.execPath, [join(packageRoot, 'deploy/healthcheck.mjs')], {
      env: { ...process.env, WINNOW_PORT: String(port) },
    });
    return new Promise((resolve) => child.on('close', resolve));
  };
  assert.is(await check(port), 0);
  assert.is(await check(1), 1);
});

test('the compose file names variables, commands and files that exist, and gives the server time to stop', async () => {
  const { services, volumes } = parse(read('deploy/compose.yaml'));
  const { winnow } = services;
  for (const name of Object.keys(winnow.environment)) assert.ok(variables.includes(name), name);
  await checkCommand(winnow.command);
  assert.ok(existsSync(join(packageRoot, 'deploy', winnow.build.context, winnow.build.dockerfile)));
  assert.equal(
    winnow.volumes.map((one: string) => one.split(':')[0]),
    Object.keys(volumes),
  );
  assert.is(winnow.ports[0].split(':')[0], '127.0.0.1');
  assert.equal([winnow.read_only, winnow.cap_drop], [true, ['ALL']]);
  assert.ok(Number.parseInt(winnow.stop_grace_period, 10) > 5);
  for (const [, words] of read('deploy/compose.yaml').matchAll(/--rm winnow (.*)/g))
    await checkCommand(words!.split(' '));
});

/** Hosts of a list of addresses. */
const urlsOf = (value: string): string[] => value.split(',').map((url) => new URL(url).hostname);

test('the compose file of a cluster names variables, commands, nodes and volumes that exist', async () => {
  const text = read('deploy/compose.cluster.yaml');
  const { services, volumes } = parse(text, { merge: true });
  const nodes = Object.keys(services).filter((name) => name.startsWith('opensearch-'));
  assert.is(nodes.length, 3);
  for (const name of nodes) {
    const { environment, volumes: mounted } = services[name];
    assert.is(environment['node.name'], name);
    assert.equal(environment['cluster.initial_cluster_manager_nodes'].split(','), nodes);
    assert.equal(environment['discovery.seed_hosts'].split(','), nodes);
    assert.ok(Object.hasOwn(volumes, mounted[0].split(':')[0]), mounted[0]);
  }
  const { winnow } = services;
  for (const name of Object.keys(winnow.environment)) assert.ok(variables.includes(name), name);
  assert.equal(urlsOf(winnow.environment.WINNOW_URL), nodes);
  await checkCommand(winnow.command);
  assert.ok(Object.hasOwn(volumes, winnow.volumes[0].split(':')[0]));
  assert.match(winnow.ports[0], /^127\.0\.0\.1:/);
  for (const [, words] of text.matchAll(/ run --rm(?: -v \S+)? winnow (.*)$/gm))
    await checkCommand(words!.split(' '));
});

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly selector?: object;
    readonly template?: {
      readonly metadata: { readonly labels: object };
      readonly spec: {
        readonly containers: readonly Container[];
        readonly volumes?: readonly { name: string }[];
      };
    };
    readonly ports?: readonly { readonly port: number; readonly targetPort?: string }[];
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
  };
}

interface Container {
  readonly args?: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts: readonly { readonly name: string }[];
  readonly readinessProbe: { readonly httpGet: { readonly path: string; readonly port: string } };
  readonly livenessProbe?: { readonly httpGet: { readonly path: string; readonly port: string } };
}

test('the Kubernetes manifests fit together, and name variables, commands, ports and routes that exist', async () => {
  const files = ['deploy/kubernetes/opensearch.yaml', 'deploy/kubernetes/winnow.yaml'];
  const manifests = files.flatMap((file) =>
    parseAllDocuments(read(file)).map((document) => {
      assert.equal(document.errors, []);
      return document.toJS() as Manifest;
    }),
  );
  const of = (kind: string, name: string): Manifest =>
    manifests.find((one) => one.kind === kind && one.metadata.name === name)!;
  for (const [kind, name] of [
    ['StatefulSet', 'opensearch'],
    ['Deployment', 'winnow'],
  ] as const) {
    const { template, selector, volumeClaimTemplates = [] } = of(kind, name).spec;
    const { metadata, spec } = template!;
    assert.equal((selector as { matchLabels: object }).matchLabels, metadata.labels);
    assert.equal(of('Service', name).spec.selector, metadata.labels);
    assert.equal(of('PodDisruptionBudget', name).spec.selector, selector);
    const [container] = spec.containers;
    const mounted = [
      ...(spec.volumes ?? []).map((one) => one.name),
      ...volumeClaimTemplates.map((one) => one.metadata.name),
    ];
    assert.equal(container!.volumeMounts.map((one) => one.name).sort(), mounted.sort());
    const named = container!.ports.map((one) => one.name);
    for (const { httpGet } of [
      container!.readinessProbe,
      container!.livenessProbe ?? container!.readinessProbe,
    ])
      assert.ok(named.includes(httpGet.port), httpGet.port);
    for (const { port } of of('Service', name).spec.ports!)
      assert.ok(container!.ports.some(({ containerPort }) => containerPort === port));
  }
  const [winnow] = of('Deployment', 'winnow').spec.template!.spec.containers;
  await checkCommand(winnow!.args!);
  for (const { name } of winnow!.env) assert.ok(variables.includes(name), name);
  const nodes = urlsOf(winnow!.env.find(({ name }) => name === 'WINNOW_URL')!.value!);
  assert.equal(nodes, ['opensearch-0.opensearch', 'opensearch-1.opensearch', 'opensearch-2.opensearch']);
  assert.is(winnow!.ports[0]!.containerPort, SETTINGS.find(({ name }) => name === 'port')!.default);
  for (const { httpGet } of [winnow!.readinessProbe, winnow!.livenessProbe!])
    assert.is((await app.inject({ url: httpGet.path, headers: { host: 'localhost' } })).statusCode, 200);
  for (const [, words] of files
    .map(read)
    .join('\n')
    .matchAll(/^# {2}winnow (.*)$/gm))
    await checkCommand(words!.split(' '));
});

test('the systemd unit starts a command that exists, with the settings of the file beside it', async () => {
  const unit = read('deploy/winnow.service');
  const [, words] = /^ExecStart=\/usr\/bin\/env winnow (.*)$/m.exec(unit)!;
  await checkCommand(words!.split(' '));
  assert.match(unit, /^NoNewPrivileges=yes$/m);
  const command = addSettings(new Command('serve')).action(() => {});
  command.parse(['--config', join(packageRoot, 'deploy/winnow.yaml')], { from: 'user' });
  const settings = settingsOf(command, {});
  assert.match(String(settings.data), /^\/var\/lib\/winnow\//);
  // Lines to be uncommented are settings, too.
  for (const [, name] of read('deploy/winnow.yaml').matchAll(/^# (\w+): /gm))
    assert.ok(
      SETTINGS.some((one) => one.name === name),
      name,
    );
  const verify = spawnSync('systemd-analyze', ['--version']);
  if (verify.status === 0) {
    const { stderr } = spawnSync('systemd-analyze', ['verify', join(packageRoot, 'deploy/winnow.service')], {
      encoding: 'utf8',
    });
    assert.not.match(stderr, /Unknown (key|section|lvalue)/);
  }
});

test('alerts and docs/operations.md name metrics, flags, commands and files that exist', async () => {
  const { body } = await app.inject({ url: '/metrics', headers: { host: 'localhost' } });
  const metrics = new Set([...body.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name));
  const page = read('docs/operations.md');
  const alerts = read('deploy/alerts.yaml');
  const { groups } = parse(alerts);
  assert.ok(groups[0].rules.length > 0);
  for (const [name] of `${alerts}${page}`.matchAll(/\b(winnow|process|nodejs)_[a-z_]+/g))
    assert.ok(metrics.has(name.replace(/_(bucket|count|sum)$/, '')), name);
  const program = await createProgram();
  const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
  const flags = new Set(all(program).flatMap(({ options }) => options.map(({ long }) => long)));
  for (const setting of SETTINGS) flags.add(flagOf(setting));
  for (const [, flag] of page.matchAll(/`(--[a-z-]+)/g)) assert.ok(flags.has(flag), flag);
  for (const [name] of page.matchAll(/\bWINNOW_[A-Z_]+\b/g))
    assert.ok(variables.includes(name) || read('errors.ts').includes(name), name);
  for (const [, words] of page.matchAll(/^winnow (.*)$/gm))
    await checkCommand(
      words!
        .replace(/[#>|].*$/, '')
        .trim()
        .split(/\s+/),
    );
  for (const [, file] of page.matchAll(/\]\(((?!http)[^)#]+)/g))
    assert.ok(existsSync(join(packageRoot, 'docs', file!)), file);
});

test.run();
