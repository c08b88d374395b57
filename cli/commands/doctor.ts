import type { Command } from 'commander';
import { DEFAULT_MODEL, openModel } from '../../encoder/model.ts';
import { WinnowError } from '../../errors.ts';
import { repairIndex } from '../../indexer/admin/repair.ts';
import { describeKernels } from '../../kernels/index.ts';
import { version } from '../../version.ts';
import { printable } from '../printable.ts';
import { printRepair } from '../repair-report.ts';

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('show which kernels and model run here, and why; with --repair, repair an index')
    .option('--model <name>', 'bundled model or model folder')
    .option('--index <dir>', 'index folder, for --repair')
    .option('--repair', 'drop what is damaged in the index, and list it')
    .option('--json', 'print one JSON object')
    .action(run);
}

interface DoctorCliOptions {
  readonly model?: string;
  readonly index?: string;
  readonly repair?: boolean;
  readonly json?: boolean;
}

async function run({ model, index, repair, json = false }: DoctorCliOptions): Promise<void> {
  if (!repair && index === undefined) return showKernels(model, json);
  if (!repair || index === undefined)
    throw new WinnowError('WINNOW_BAD_ARGUMENT', '--repair and --index belong together', {
      place: repair ? '--index' : '--repair',
      hint: 'winnow doctor --repair --index DIR; `winnow stats --verify` checks without changing anything',
    });
  const report = await repairIndex(index);
  if (json) console.log(JSON.stringify(report));
  else printRepair(index, report);
}

function showKernels(name = DEFAULT_MODEL, json = false): void {
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
