import type { Command } from 'commander';
import { type ConvertOptions, convertModel } from '../../encoder/convert-model.ts';
import { printable } from '../printable.ts';
import { registerCalibrate } from './calibrate.ts';
import { registerEarlyExit } from './early-exit.ts';
import { registerScreen } from './screen.ts';

export function registerModel(program: Command): void {
  const model = program.command('model').description('prepare models for documents, queries and reranking');
  registerCalibrate(model);
  registerScreen(model);
  registerEarlyExit(model);
  model
    .command('convert')
    .description(
      'make a model folder from a Hugging Face checkpoint: a document encoder from a BertForMaskedLM, a reranker from a ' +
        'BertForSequenceClassification with one label; weights become int8',
    )
    .argument(
      '<source>',
      'folder with model.safetensors, config.json and tokenizer.json, or a .safetensors file',
    )
    .argument('<target>', 'model folder to write; files of a model in it are replaced')
    .option('--idf <file>', 'table of query weights, JSON {"token": idf}; document encoders need one')
    .option('--config <file>', 'config.json (default: beside the weights)')
    .option('--tokenizer <file>', 'tokenizer.json (default: beside the weights)')
    .option('--json', 'print one JSON object')
    .action(convert);
}

function convert(
  source: string,
  target: string,
  { json, ...files }: ConvertOptions & { readonly json?: boolean },
): void {
  const model = convertModel(source, target, files);
  const { name, folder, hash, config } = model;
  const kind = 'query' in model ? 'document encoder' : 'cross-encoder';
  if (json) {
    console.log(JSON.stringify({ name, folder, hash, kind }));
    return;
  }
  console.log(
    `${printable(folder)}: ${kind} ${printable(name)}, ${config.num_hidden_layers} layers of ` +
      `${config.hidden_size}, ${config.vocab_size.toLocaleString('en')} tokens, hash ${hash}`,
  );
}
