// Builds a model folder from training output:
//   node --import tsx scripts/convert-model.ts SOURCE_DIR IDF_JSON models/NAME
// SOURCE_DIR holds model.safetensors, config.json (BertForMaskedLM) and tokenizer.json.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensors } from '../encoder/convert/safetensors.ts';
import { encodeWeights } from '../encoder/model-file.ts';

const [source, idf, target] = process.argv.slice(2);
if (!source || !idf || !target) throw new Error('usage: convert-model SOURCE_DIR IDF_JSON TARGET_DIR');
mkdirSync(target, { recursive: true });
const weights = join(source, 'model.safetensors');
writeFileSync(join(target, 'weights.winnow'), encodeWeights(readSafetensors(readFileSync(weights), weights)));
const config = JSON.parse(readFileSync(join(source, 'config.json'), 'utf8'));
config.winnow = { activation: 'log1p', exponent: 1, maxWeight: 3, ...config.winnow };
writeFileSync(join(target, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
// Copied by content: a read-only source must not make a read-only model.
writeFileSync(join(target, 'tokenizer.json'), readFileSync(join(source, 'tokenizer.json')));
writeFileSync(join(target, 'idf.json'), readFileSync(idf));
console.log(`wrote ${target}`);
