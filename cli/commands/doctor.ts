import type { Command } from 'commander';
import { DEFAULT_MODEL, openModel } from '../../encoder/model-file.ts';
import { describeKernels } from '../../kernels/index.ts';
import { printable } from '../printable.ts';
import { version } from '../version.ts';

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('show which kernels and model are in use here, and why')
    .option('--model <name>', 'bundled model or model folder')
    .option('--json', 'print one JSON object')
    .action(run);
}

function run({ model: name = DEFAULT_MODEL, json }: { model?: string; json?: boolean }): void {
  const kernels = describeKernels();
  const model = openModel(name);
  const facts = {
    winnow: version(),
    node: `${process.version} on ${process.platform} ${process.arch}`,
    cpu: kernels.cpu,
    kernels: `${kernels.backend}${kernels.instructions ? ` (${kernels.instructions})` : ''}: ${kernels.reason}`,
    ...(kernels.instructionsReason ? { 'not used': kernels.instructionsReason } : {}),
    ...(kernels.path ? { 'loaded from': kernels.path } : {}),
    ...(kernels.compiler ? { 'compiled by': kernels.compiler } : {}),
    model: `${model.name} ${model.hash}, ${model.config.num_hidden_layers} layers of ${model.config.hidden_size}`,
  };
  if (json) {
    console.log(JSON.stringify({ ...facts, failed: kernels.failed }));
    return;
  }
  for (const [label, value] of Object.entries(facts)) console.log(`${label.padEnd(12)} ${printable(value)}`);
  for (const { backend, why } of kernels.failed)
    console.log(`${'not used'.padEnd(12)} ${backend}: ${printable(why)}`);
  if (kernels.backend !== 'native') {
    console.log('');
    console.log(
      'A C compiler (cc, gcc or clang) makes encoding several times faster: install one, then run `npm rebuild winnow`,\nor `npm run install` in a checkout.',
    );
  }
}
