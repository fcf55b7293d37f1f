/**
 * A failure that a caller is expected to handle, or a user to read.
 *
 * `message` says what was attempted, why it was refused and the value at fault, as one sentence:
 * `Cannot submit task as its file is too large: 71680 bytes, at most 65536`.
 * Anything else that is thrown is a bug; cancellation is the signal's own reason.
 */
export class CiError extends Error {
  override readonly name = 'CiError';
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Every code that leaves the program, with the HTTP status it becomes. An outside contract: scripts test for the codes,
 * so one may be added but none renamed.
 */
export const ERROR_STATUS = {
  /** The request itself is wrong: a bad id, a bad task file, a malformed message. */
  invalid: 400,
  /** No token, or one that is unknown, revoked or expired. */
  unauthenticated: 401,
  /** A good token whose role may not do this, or a request from a place that may not ask. */
  forbidden: 403,
  'not-found': 404,
  /** The thing exists already, or has moved on since it was read. */
  conflict: 409,
  /** It was there and has been deleted by retention. */
  gone: 410,
  'too-large': 413,
  'rate-limited': 429,
  /** A bug; the request id leads to the log. */
  internal: 500,
  /** The coordination store or the object store cannot be reached or refuses to work. */
  unavailable: 503,
  /** It may or may not have happened: read before trying again. */
  ambiguous: 504,
  /** The record was written by a newer release than this one. */
  'newer-format': 505,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

export function isCiError(error: unknown, code?: ErrorCode): error is CiError {
  return error instanceof CiError && (code === undefined || error.code === code);
}

/** The message of anything that was thrown, with the messages of its causes. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} (${describeError(error.cause)})`;
}
