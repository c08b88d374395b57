/** Codes of failures that no server reported; the others are those of docs/errors.md. */
export type ClientErrorCode = 'WINNOW_CLIENT_UNREACHABLE' | 'WINNOW_CLIENT_TIMEOUT' | 'WINNOW_CLIENT_ANSWER';

export interface ClientErrorFacts {
  /** Status of the answer; 0 where there was none. */
  readonly status: number;
  readonly place?: string | undefined;
  readonly hint?: string | undefined;
  readonly suggestion?: string | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
  readonly cause?: unknown;
}

/** What a server answered instead of a result, or why it did not answer. */
export class WinnowClientError extends Error {
  /** A code of docs/errors.md, or a {@link ClientErrorCode}: no connection, no answer in time, or an answer that is not Winnow's. */
  readonly code: string;
  /** HTTP status, 0 where there was no answer. */
  readonly status: number;
  /** Which parameter, field or line. */
  readonly place: string | undefined;
  /** The way out. */
  readonly hint: string | undefined;
  /** The right name of a misspelt parameter. */
  readonly suggestion: string | undefined;
  /** Names the request in the server's log. */
  readonly requestId: string | undefined;
  /** When the server wants to be asked again. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: string, message: string, facts: ClientErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'WinnowClientError';
    this.code = code;
    this.status = facts.status;
    this.place = facts.place;
    this.hint = facts.hint;
    this.suggestion = facts.suggestion;
    this.requestId = facts.requestId;
    this.retryAfterSeconds = facts.retryAfterSeconds;
  }

  /** `CODE place: message (hint)`. */
  override toString(): string {
    const where = this.place ? `${this.place}: ` : '';
    return `${this.code} ${where}${this.message}${this.hint ? ` (${this.hint})` : ''}`;
  }
}

/** The error that an answer reports. Reads its body. */
export async function errorOf(response: Response): Promise<WinnowClientError> {
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
  const facts = {
    status: response.status,
    requestId: response.headers.get('x-request-id') ?? undefined,
    retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : undefined,
  };
  const body = parsed(await response.text());
  if (typeof body?.code === 'string' && typeof body.message === 'string') {
    const { place, hint, suggestion, requestId = facts.requestId } = body as Record<string, string>;
    return new WinnowClientError(body.code, body.message, { ...facts, place, hint, suggestion, requestId });
  }
  return new WinnowClientError('WINNOW_CLIENT_ANSWER', `the answer is HTTP ${response.status}`, {
    ...facts,
    hint: 'check that the address is that of winnow serve, and what is between',
  });
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
