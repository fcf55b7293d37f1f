import type { z } from 'zod';
import type { ErrorBody } from '../../shared/api.ts';
import { describeIssue } from '../../shared/describe-issue.ts';
import { CiError, ERROR_STATUS, isCiError } from '../../shared/errors.ts';
import { MisdirectedRequest } from './request-guard.ts';

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ErrorBody;
}

/** What a client is told of a failure: its code and sentence; of a bug nothing but the id under which the log has it. */
export function answerOf(error: unknown, requestId: string): ErrorAnswer {
  const { code, message } = toCiError(error);
  const status = error instanceof MisdirectedRequest ? 421 : ERROR_STATUS[code];
  return { status, headers: HEADERS[code] ?? {}, body: { error: { code, message, requestId } } };
}

const HEADERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  unauthenticated: { 'www-authenticate': 'Bearer realm="simple-ci"' },
  'rate-limited': { 'retry-after': '5' },
  unavailable: { 'retry-after': '1' },
};

/** Foreign failures are translated here, once: what the HTTP library refuses, and everything nobody foresaw. */
export function toCiError(error: unknown): CiError {
  if (isCiError(error)) return error;
  const { code, statusCode, message } = error as { code?: unknown; statusCode?: unknown; message?: string };
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new CiError('invalid', 'Cannot take the request as its body is not application/json');
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return new CiError('invalid', `Cannot read the request: ${message}`);
  return new CiError('internal', 'Something went wrong in the node: its log says more under the request id');
}

/** The first thing that is wrong with what a client sent. */
export function invalidRequest(part: string, value: unknown, error: z.ZodError): CiError {
  const issue = error.issues[0]!;
  const path = [part, ...issue.path].join('.');
  return new CiError('invalid', `Cannot take the request as "${path}" is wrong: it ${describeIssue(issue, value)}`);
}
