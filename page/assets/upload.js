import { collectionPath, lines, request } from './api.js';

/**
 * @typedef {{ line: number, id?: string, status: string, error?: import('./api.js').Failure }} LineResult
 * @typedef {{ stored: number, failed: number, unchanged: number, share: number | undefined }} Progress `share` of the bytes, 0..1; undefined: not known
 * @typedef {{ collection: string, signal: AbortSignal, onProgress: (progress: Progress) => void, onError: (result: LineResult) => void }} UploadOptions
 */

/** A request has this many lines or characters: small enough for progress that moves, large enough to be encoded in one go. */
const BATCH_LINES = 128;
const BATCH_CHARACTERS = 1_000_000;

/** Times that a busy server is asked again. */
const TRIES = 30;

export const ENDINGS = ['.md', '.txt', '.html', '.htm', '.jsonl', '.ndjson', '.csv', '.tsv'];

/** @param {string} name */
export const isKnown = (name) => ENDINGS.some((ending) => name.toLowerCase().endsWith(ending));

/**
 * Adds a file to a collection. Lines of JSON are sent in batches while the file is read, so its size does not matter; other files are read
 * by the server.
 *
 * @param {File} file @param {UploadOptions} options
 * @returns {Promise<Progress>}
 * @throws {import('./api.js').ApiError}
 */
export async function upload(file, options) {
  const counts = new Counts(options);
  if (/\.(jsonl|ndjson)$/i.test(file.name)) await uploadLines(file, options, counts);
  else {
    const query = new URLSearchParams({ name: file.name });
    const path = collectionPath(options.collection, `/files?${query}`);
    await counts.read(await post(path, file, 'application/octet-stream', options.signal), 0);
  }
  counts.at(1);
  return counts.progress;
}

/**
 * Adds documents that are in memory.
 *
 * @param {readonly object[]} documents @param {UploadOptions} options @returns {Promise<Progress>}
 */
export async function uploadDocuments(documents, options) {
  const counts = new Counts(options);
  const body = documents.map((one) => JSON.stringify(one)).join('\n');
  await counts.read(await postLines(body, options), 0);
  counts.at(1);
  return counts.progress;
}

class Counts {
  /** @param {UploadOptions} options */
  constructor({ onProgress, onError }) {
    this.onProgress = onProgress;
    this.onError = onError;
    /** @type {Progress} */
    this.progress = { stored: 0, failed: 0, unchanged: 0, share: undefined };
  }

  /** @param {number} share of the file that is done */
  at(share) {
    this.progress = { ...this.progress, share };
    this.onProgress(this.progress);
  }

  /** @param {Response} response @param {number} before lines of earlier batches */
  async read(response, before) {
    for await (const result of lines(response)) {
      if (result.summary) {
        if (result.error) this.onError({ line: before, status: 'failed', error: result.error });
        continue;
      }
      const { stored, failed, unchanged } = this.progress;
      const { status } = result;
      this.progress = {
        ...this.progress,
        stored: stored + Number(status === 'added' || status === 'replaced'),
        failed: failed + Number(status === 'failed'),
        unchanged: unchanged + Number(status === 'unchanged'),
      };
      if (status === 'failed') this.onError({ ...result, line: before + result.line });
      this.onProgress(this.progress);
    }
  }
}

/** @param {File} file @param {UploadOptions} options @param {Counts} counts */
async function uploadLines(file, options, counts) {
  let before = 0;
  let done = 0;
  for await (const { batch, bytes } of batches(file)) {
    if (batch.some((line) => line.trim() !== ''))
      await counts.read(await postLines(batch.join('\n'), options), before);
    before += batch.length;
    done += bytes;
    counts.at(Math.min(1, done / Math.max(1, file.size)));
  }
}

/** @param {File} file @returns {AsyncGenerator<{ batch: string[], bytes: number }>} whole lines, with the bytes read for them */
async function* batches(file) {
  const reader = file.stream().getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let bytes = 0;
  /** @type {string[]} */
  let batch = [];
  let characters = 0;
  for (;;) {
    const { done, value } = await reader.read();
    bytes += value?.length ?? 0;
    const parts = (rest + decoder.decode(value, { stream: !done })).split('\n');
    rest = done ? '' : (parts.pop() ?? '');
    for (const line of parts) {
      batch.push(line);
      characters += line.length;
      if (batch.length < BATCH_LINES && characters < BATCH_CHARACTERS) continue;
      // What is read of the file is at most one chunk ahead of what is sent.
      yield { batch, bytes };
      batch = [];
      bytes = 0;
      characters = 0;
    }
    if (done) break;
  }
  yield { batch, bytes };
}

/** @param {string} body @param {UploadOptions} options */
const postLines = (body, { collection, signal }) =>
  post(collectionPath(collection, '/documents'), body, 'application/x-ndjson', signal);

/** Waits for a busy server, up to a limit. @param {string} path @param {BodyInit} body @param {string} type @param {AbortSignal} signal */
async function post(path, body, type, signal) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await request(path, { method: 'POST', body, headers: { 'content-type': type }, signal });
    } catch (error) {
      const { status } = /** @type {{ status?: number }} */ (error);
      if ((status !== 503 && status !== 429) || attempt >= TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000));
      signal.throwIfAborted();
    }
  }
}
