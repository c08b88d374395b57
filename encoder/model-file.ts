import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { WinnowError } from '../errors.ts';
import { packageRoot } from '../package-root.ts';
import { IdfQueryEncoder, readIdfTable } from './idf-query.ts';
import { WordPieceTokenizer } from './wordpiece.ts';

/** Shape of the BERT body and how logits become weights; the fields of Hugging Face's config.json plus `winnow`. */
export interface ModelConfig {
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly intermediate_size: number;
  readonly vocab_size: number;
  readonly max_position_embeddings: number;
  readonly type_vocab_size: number;
  readonly layer_norm_eps: number;
  readonly winnow: {
    /** `log1p`: log(1 + relu(x)); `log1p2`: log(1 + log(1 + relu(x))) (arXiv 2504.14839). */
    readonly activation: 'log1p' | 'log1p2';
    /** A term's weight is its activation to this power, above 0; default 1. Found after training (docs/training.md). */
    readonly exponent: number;
    /** Weight that impact 255 stands for in an index of this model; larger weights are clipped to it. */
    readonly maxWeight: number;
  };
}

/** A 2-D weight as int8 per row (`w[r][c] = data[r * cols + c] * scales[r]`) or any tensor as f32. */
export type Tensor =
  | {
      readonly dtype: 'i8';
      readonly shape: readonly [number, number];
      readonly data: Int8Array;
      readonly scales: Float32Array;
    }
  | { readonly dtype: 'f32'; readonly shape: readonly number[]; readonly data: Float32Array };

export interface ModelWeights {
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** A model folder: the query side is loaded, the weights are read by {@link Model.readWeights} when documents come. */
export interface Model {
  readonly name: string;
  readonly folder: string;
  readonly config: ModelConfig;
  readonly query: IdfQueryEncoder;
  /** SHA-256 (first 16 hex digits) over weights, config, tokenizer and idf. */
  readonly hash: string;
  readWeights(): ModelWeights;
}

/**
 * `weights.winnow`, all little-endian: magic, u32 version, u32 header length, u32 CRC-32 of the header, u32 zero; the
 * JSON header; then tensors at 64-byte boundaries.
 */
const MAGIC = 'WNWMODEL';
const FORMAT_VERSION = 1;
const PREAMBLE_BYTES = 24;
const ALIGNMENT = 64;

interface TensorEntry {
  dtype: 'i8' | 'f32';
  shape: number[];
  /** Byte offset from the start of the data section. */
  offset: number;
  /** Byte offset of the row scales (i8 only). */
  scales?: number;
}

interface Header {
  /** SHA-256 of the data section, hex. */
  sha256: string;
  dataBytes: number;
  tensors: Record<string, TensorEntry>;
}

const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
const elements = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/** Serialises tensors; the inverse of {@link decodeWeights}. */
export function encodeWeights(tensors: ReadonlyMap<string, Tensor>): Buffer {
  const entries: Record<string, TensorEntry> = {};
  const parts: { offset: number; bytes: Uint8Array }[] = [];
  let end = 0;
  const place = (view: Int8Array | Float32Array): number => {
    const offset = align(end);
    parts.push({ offset, bytes: new Uint8Array(view.buffer, view.byteOffset, view.byteLength) });
    end = offset + view.byteLength;
    return offset;
  };
  for (const [name, tensor] of tensors) {
    entries[name] = { dtype: tensor.dtype, shape: [...tensor.shape], offset: place(tensor.data) };
    if (tensor.dtype === 'i8') entries[name].scales = place(tensor.scales);
  }
  const data = Buffer.alloc(end);
  for (const { offset, bytes } of parts) data.set(bytes, offset);
  const header: Header = {
    sha256: createHash('sha256').update(data).digest('hex'),
    dataBytes: end,
    tensors: entries,
  };
  const json = Buffer.from(JSON.stringify(header));
  const dataStart = align(PREAMBLE_BYTES + json.length);
  const file = Buffer.alloc(dataStart + end);
  file.write(MAGIC, 0, 'latin1');
  file.writeUInt32LE(FORMAT_VERSION, 8);
  file.writeUInt32LE(json.length, 12);
  file.writeUInt32LE(crc32(json), 16);
  json.copy(file, PREAMBLE_BYTES);
  data.copy(file, dataStart);
  return file;
}

function readHeader(file: Buffer, place: string): { header: Header; dataStart: number; headerBytes: Buffer } {
  const invalid = (message: string, cause?: unknown) =>
    new WinnowError('WINNOW_MODEL_INVALID', message, {
      place,
      hint: 'restore the model folder or export it again',
      cause,
    });
  if (file.length < PREAMBLE_BYTES || file.toString('latin1', 0, 8) !== MAGIC)
    throw invalid('not a Winnow weights file');
  const version = file.readUInt32LE(8);
  if (version !== FORMAT_VERSION) {
    throw invalid(`weights format ${version}, this build reads ${FORMAT_VERSION}`);
  }
  const headerLength = file.readUInt32LE(12);
  if (PREAMBLE_BYTES + headerLength > file.length) throw invalid('the file is shorter than its header says');
  const headerBytes = file.subarray(PREAMBLE_BYTES, PREAMBLE_BYTES + headerLength);
  if (crc32(headerBytes) !== file.readUInt32LE(16) || file.readUInt32LE(20) !== 0)
    throw invalid('checksum mismatch in the header');
  try {
    const header = JSON.parse(headerBytes.toString('utf8')) as Header;
    return { header, dataStart: align(PREAMBLE_BYTES + headerLength), headerBytes };
  } catch (cause) {
    throw invalid('the header is not JSON', cause);
  }
}

/** The start of a weights file up to the end of its header: opening a model to search must not read 23 MB of weights. */
function readHead(path: string): Buffer {
  const descriptor = openSync(path, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const preamble = Buffer.alloc(Math.min(PREAMBLE_BYTES, size));
    readSync(descriptor, preamble, 0, preamble.length, 0);
    if (size < PREAMBLE_BYTES) return preamble;
    const head = Buffer.alloc(Math.min(PREAMBLE_BYTES + preamble.readUInt32LE(12), size));
    readSync(descriptor, head, 0, head.length, 0);
    return head;
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Reads and checks a weights file: every offset and length is verified before a view is made.
 *
 * @returns tensors that are views into `file`
 * @throws WinnowError WINNOW_MODEL_INVALID for a wrong magic, version, length, checksum or tensor table
 */
export function decodeWeights(file: Buffer, place: string): Map<string, Tensor> {
  const { header, dataStart } = readHeader(file, place);
  const invalid = (message: string) => new WinnowError('WINNOW_MODEL_INVALID', message, { place });
  if (dataStart + header.dataBytes !== file.length)
    throw invalid('the file is cut short or has bytes after its end');
  const data = file.subarray(dataStart);
  if (createHash('sha256').update(data).digest('hex') !== header.sha256)
    throw invalid('checksum mismatch in the weights');
  // Typed-array views need aligned bytes; a pooled Buffer may start anywhere.
  const aligned = data.byteOffset % ALIGNMENT === 0 ? data : Buffer.from(new Uint8Array(data).buffer);
  const view = (name: string, offset: number, bytes: number): [ArrayBuffer, number] => {
    if (!Number.isInteger(offset) || offset < 0 || offset % 4 !== 0 || offset + bytes > aligned.length) {
      throw invalid(`tensor "${name}" lies outside the file`);
    }
    return [aligned.buffer as ArrayBuffer, aligned.byteOffset + offset];
  };
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, shape, offset, scales }] of Object.entries(header.tensors)) {
    if (!Array.isArray(shape) || !shape.every((n) => Number.isInteger(n) && n > 0))
      throw invalid(`tensor "${name}" has a bad shape`);
    const count = elements(shape);
    if (dtype === 'i8' && shape.length === 2 && scales !== undefined) {
      const [rows, cols] = shape as [number, number];
      tensors.set(name, {
        dtype,
        shape: [rows, cols],
        data: new Int8Array(...view(name, offset, count), count),
        scales: new Float32Array(...view(name, scales, rows * 4), rows),
      });
    } else if (dtype === 'f32') {
      tensors.set(name, { dtype, shape, data: new Float32Array(...view(name, offset, count * 4), count) });
    } else {
      throw invalid(
        `tensor "${name}" has type ${dtype} with ${shape.length} dimensions, which is not supported`,
      );
    }
  }
  return tensors;
}

function readConfig(path: string): ModelConfig {
  let config: Partial<ModelConfig>;
  try {
    config = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new WinnowError('WINNOW_MODEL_INVALID', 'config.json cannot be read', { place: path, cause });
  }
  const positive = [
    'hidden_size',
    'num_hidden_layers',
    'num_attention_heads',
    'intermediate_size',
    'vocab_size',
    'max_position_embeddings',
    'type_vocab_size',
    'layer_norm_eps',
  ] as const;
  for (const field of positive) {
    if (!(typeof config[field] === 'number' && config[field] > 0)) {
      throw new WinnowError('WINNOW_MODEL_INVALID', `config field "${field}" is missing or not positive`, {
        place: path,
      });
    }
  }
  const { activation = 'log1p', exponent = 1, maxWeight = 3 } = config.winnow ?? {};
  const known = activation === 'log1p' || activation === 'log1p2';
  if (!known || !(exponent > 0 && exponent < Infinity) || !(maxWeight > 0)) {
    throw new WinnowError(
      'WINNOW_MODEL_INVALID',
      'config field "winnow" has an unknown activation, or an exponent or maxWeight that is not above 0',
      { place: path },
    );
  }
  return { ...(config as ModelConfig), winnow: { activation, exponent, maxWeight } };
}

/** The model that commands use when none is named. */
export const DEFAULT_MODEL = 'winnow-mini';

/** Folder of a bundled model by name, or the path itself when it has a config.json. */
function modelFolder(nameOrPath: string): string {
  const bundled = join(packageRoot, 'models', nameOrPath);
  for (const folder of [bundled, nameOrPath]) {
    if (existsSync(join(folder, 'config.json'))) return folder;
  }
  throw new WinnowError('WINNOW_MODEL_NOT_FOUND', `no model "${nameOrPath}"`, {
    hint: `name a bundled model (${DEFAULT_MODEL}) or a folder with config.json, weights.winnow, tokenizer.json and idf.json`,
  });
}

/**
 * Opens a model folder: `config.json`, `weights.winnow`, `tokenizer.json`, `idf.json`.
 *
 * Takes some 40 ms; the weights are only hashed through their header, and read when {@link Model.readWeights} is called.
 *
 * @param nameOrPath a bundled model's name or a folder
 * @throws WinnowError WINNOW_MODEL_NOT_FOUND, WINNOW_MODEL_INVALID
 */
export function openModel(nameOrPath: string = DEFAULT_MODEL): Model {
  const folder = modelFolder(nameOrPath);
  const file = (name: string): string => {
    const path = join(folder, name);
    if (!existsSync(path))
      throw new WinnowError('WINNOW_MODEL_NOT_FOUND', `the model has no ${name}`, { place: folder });
    return path;
  };
  const config = readConfig(file('config.json'));
  const tokenizerPath = file('tokenizer.json');
  const idfPath = file('idf.json');
  const weightsPath = file('weights.winnow');
  const tokenizer = WordPieceTokenizer.fromFile(tokenizerPath);
  if (tokenizer.vocabularySize !== config.vocab_size) {
    throw new WinnowError(
      'WINNOW_MODEL_INVALID',
      `tokenizer has ${tokenizer.vocabularySize} tokens, config says ${config.vocab_size}`,
      {
        place: folder,
      },
    );
  }
  const hash = createHash('sha256');
  // The header holds the SHA-256 of the data, so hashing the header covers the weights.
  hash.update(readHeader(readHead(weightsPath), weightsPath).headerBytes);
  hash.update(JSON.stringify(config));
  for (const path of [tokenizerPath, idfPath]) hash.update(readFileSync(path));
  return {
    name: folder.split(/[\\/]/).filter(Boolean).at(-1) ?? folder,
    folder,
    config,
    query: new IdfQueryEncoder(tokenizer, readIdfTable(idfPath, tokenizer)),
    hash: hash.digest('hex').slice(0, 16),
    readWeights: () => ({ config, tensors: decodeWeights(readFileSync(weightsPath), weightsPath) }),
  };
}
