import plugin from 'fastify-plugin';
import { WinnowError } from '../../errors.ts';
import { LIMITS } from '../limits.ts';
import { IDLE_HINT } from '../upload-body.ts';

const NDJSON = /^\s*application\/(x-ndjson|jsonl)\s*(;|$)/i;
const JSON_TYPE = /^\s*application\/json\s*(;|$)/i;

export const isNdjson = (contentType: string | undefined): boolean => NDJSON.test(contentType ?? '');
export const isJson = (contentType: string | undefined): boolean => JSON_TYPE.test(contentType ?? '');

export interface BodyOptions {
  /** Time in ms within which a JSON body must be whole. */
  readonly bodyIdleMs: number;
}

/** What request bodies may be: JSON, which must arrive in time, and NDJSON, which the route reads as a stream. */
export const bodies = plugin(async (app, { bodyIdleMs }: BodyOptions) => {
  // Browsers let any page post this type without a preflight request.
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser(['application/x-ndjson', 'application/jsonl'], (_request, payload, done) =>
    done(null, payload),
  );
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const started = performance.now();
    const text = body as string;
    // Clients that name the type of every request send DELETE with it and without a body.
    if (text === '') return done(null, undefined);
    if (isDeeperThan(text, LIMITS.jsonDepth)) return done(tooDeep());
    parseJson(request, text, (error, value) => {
      app.metrics.stage('parse', (performance.now() - started) / 1000);
      done(error, value);
    });
  });
  // JSON bodies are small: they must be whole in the time in which an upload must bring more.
  app.addHook('preParsing', (request, reply, payload, next) => {
    if (isNdjson(request.headers['content-type'])) return next(null, payload);
    const late = setTimeout(() => {
      const error = new WinnowError('WINNOW_TIMEOUT', `the body was not whole after ${bodyIdleMs} ms`, {
        place: 'request body',
        hint: IDLE_HINT,
      });
      // Fastify stops reading with this error.
      payload.emit('error', Object.assign(error, { statusCode: error.status }));
    }, bodyIdleMs).unref();
    const done = (): void => clearTimeout(late);
    payload.on('error', done).once('end', done).once('close', done);
    reply.raw.once('close', done); // where no route reads the body
    next(null, payload);
  });
});

/** Whether brackets of a JSON text nest deeper, without building what they hold. Texts that are no JSON are left to the parser. */
function isDeeperThan(json: string, levels: number): boolean {
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code === QUOTE) {
      for (i++; i < json.length && json.charCodeAt(i) !== QUOTE; i++)
        if (json.charCodeAt(i) === BACKSLASH) i++;
    } else if (code === OPEN_OBJECT || code === OPEN_LIST) {
      if (++depth > levels) return true;
    } else if (code === CLOSE_OBJECT || code === CLOSE_LIST) depth--;
  }
  return false;
}

const [QUOTE, BACKSLASH, OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [
  0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d,
];

function tooDeep(): WinnowError {
  const error = new WinnowError(
    'WINNOW_BAD_ARGUMENT',
    `the body nests deeper than ${LIMITS.jsonDepth} levels`,
    {
      place: 'request body',
    },
  );
  return Object.assign(error, { statusCode: error.status });
}
