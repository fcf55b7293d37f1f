import { CiError, type ErrorCode } from '../../shared/errors.ts';

/** What the SDK, Node's sockets and TLS throw, as far as we look at it. */
interface Failure {
  readonly name?: string;
  readonly message?: string;
  readonly code?: string;
  readonly Code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly headers?: Record<string, string> };
}

/** Answers of which S3 says, or experience, that the same request may work a moment later. */
const TRANSIENT_ANSWERS = new Set([
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  // The SDK sets its clock by the answer's Date, so that the next try is signed right.
  'RequestTimeTooSkewed',
  // Part of the body was lost on its way, or it was changed: something between us and the store has hurt it.
  'IncompleteBody',
  'BadDigest',
  'XAmzContentSHA256Mismatch',
]);

const TRANSIENT_SOCKETS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EAI_AGAIN',
  'ENOTFOUND',
  'ERR_STREAM_PREMATURE_CLOSE',
  'HPE_INVALID_CONSTANT',
  'HPE_INVALID_EOF_STATE',
]);

const UNAUTHENTICATED = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
  'AuthorizationHeaderMalformed',
  'CredentialsProviderError',
  'TokenProviderError',
]);

/** What the SDK says when it cannot read an answer, and then much about how it can be debugged. */
const NOT_PARSED = 'Deserialization error';

const CERTIFICATE = /^(CERT_|ERR_TLS_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|HOSTNAME_MISMATCH)/;

/** The body ended before all of it had come, and Node did not notice. */
export class CutShort extends Error {
  override readonly name = 'CutShort';
}

/** An answer without what every S3 says in it: somebody else has answered, such as a proxy, and nothing may have been done. */
export class NotOfS3 extends Error {
  override readonly name = 'NotOfS3';
}

/** S3 has done a request to delete many, but kept some. `code` is its reason for the first of them. */
export class NotDeleted extends Error {
  override readonly name = 'NotDeleted';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Whether the same request may work by itself a moment later. */
export function isTransientFailure(error: unknown): boolean {
  const { name = '', $metadata } = asFailure(error);
  const code = codeOf(error);
  if (error instanceof CiError) return false;
  if (error instanceof CutShort || error instanceof NotOfS3 || name === 'TimeoutError' || TRANSIENT_SOCKETS.has(code))
    return true;
  const status = $metadata?.httpStatusCode ?? 0;
  return TRANSIENT_ANSWERS.has(code) || [408, 409, 429].includes(status) || (status >= 500 && status !== 501);
}

/** S3's word for what is wrong (`NoSuchBucket`), else the socket's (`ECONNREFUSED`), else the exception's name. */
export function codeOf(error: unknown): string {
  const failure = asFailure(error);
  return failure.Code ?? failure.code ?? failure.name ?? '';
}

/** Whether there is no such object: an expected answer. HEAD cannot tell it from a missing bucket. */
export function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'NoSuchKey' || code === 'NotFound';
}

export function statusOf(error: unknown): number | undefined {
  return asFailure(error).$metadata?.httpStatusCode;
}

/**
 * The one place where foreign errors of S3 become ours.
 * @param attempt what was tried, such as `put object "a/b"`
 * @param where the bucket and the endpoint
 * @param now milliseconds since 1970, to tell how far off the clock is
 */
export function translateS3Failure(attempt: string, where: string, now: number, cause: unknown): unknown {
  if (cause instanceof CiError || !isForeign(cause)) return cause;
  const [code, reason] = explain(cause, now);
  return new CiError(code, `Cannot ${attempt} as ${reason}: ${where}`, { cause });
}

function explain(error: unknown, now: number): readonly [ErrorCode, string] {
  const { name = '', message = '', $response } = asFailure(error);
  const code = codeOf(error);
  const status = statusOf(error);
  if (code === 'NoSuchBucket') return ['not-found', 'there is no such bucket'];
  if (code === 'InvalidAccessKeyId') return ['unauthenticated', 'the object store does not know the access key'];
  if (code === 'SignatureDoesNotMatch')
    return ['unauthenticated', 'the secret key is not the one that belongs to the access key'];
  if (name === 'CredentialsProviderError')
    return ['unauthenticated', `no credentials were found (AWS_ACCESS_KEY_ID and others): ${message}`];
  if (UNAUTHENTICATED.has(code)) return ['unauthenticated', `the credentials were refused (${wordsOf(code, message)})`];
  if (code === 'RequestTimeTooSkewed') return ['unavailable', `${skew($response?.headers?.date, now)} (${code})`];
  if (code === 'EntityTooLarge') return ['too-large', 'the object store takes no object of this size'];
  if (status === 403 || code === 'AccessDenied')
    return ['forbidden', `these credentials may not do that (${wordsOf(code, message)})`];
  if (TRANSIENT_SOCKETS.has(code)) return ['unavailable', `the object store could not be reached (${message || code})`];
  if (CERTIFICATE.test(code))
    return ['unavailable', `its certificate is not trusted (${code}; NODE_EXTRA_CA_CERTS names further authorities)`];
  if (name === 'TimeoutError' || name === 'DeadlineExceeded')
    return ['unavailable', `the object store did not answer in time (${message})`];
  if (error instanceof NotOfS3) return ['unavailable', `what answers is not the object store, as ${message}`];
  const answer = status === undefined ? '' : `status ${status} `;
  return ['unavailable', `the object store failed (${answer}${wordsOf(code, message)})`];
}

function wordsOf(code: string, message: string): string {
  if (message.includes(NOT_PARSED)) return 'what it said is not of S3';
  return message === '' || message === code || message === 'UnknownError' ? code : `${code}: ${message}`;
}

function skew(date: string | undefined, now: number): string {
  const seconds = Math.round((now - Date.parse(date ?? '')) / 1000);
  if (Number.isNaN(seconds)) return "this machine's clock differs too much from the object store's";
  return `this machine's clock is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} the object store's`;
}

/** Bugs of ours pass through: what the SDK or a socket throws has one of these. */
function isForeign(error: unknown): boolean {
  const { name = '', code, $metadata } = asFailure(error);
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) return false;
  return code !== undefined || $metadata !== undefined || /Error$|Exceeded$|^CutShort$|^NotOfS3$/.test(name);
}

function asFailure(error: unknown): Failure {
  return typeof error === 'object' && error !== null ? (error as Failure) : {};
}
