/** What a store of S3 says instead of doing what it was asked, where the same may work a moment later. */
export interface S3Refusal {
  readonly name: string;
  readonly status: number;
  readonly code: string;
  /** Where it is not as S3 words an error: a proxy before it has answered. */
  readonly body?: string;
  /** As what the client takes it, if not as what it says. */
  readonly takenAs?: { readonly status: number; readonly code: string };
}

const BAD_GATEWAY = '<html><head><title>502 Bad Gateway</title></head><body><hr><center>proxy</center></body></html>';

/** The error comes in the body of an answer that has begun as a good one, as the store kept the connection open meanwhile. */
export const ERROR_IN_GOOD_ANSWER: S3Refusal = {
  name: '200 with InternalError in its body',
  status: 200,
  code: 'InternalError',
  takenAs: { status: 503, code: 'InternalError' },
};

export const INTERNAL_ERROR: S3Refusal = { name: '500 InternalError', status: 500, code: 'InternalError' };

export const S3_REFUSALS: readonly S3Refusal[] = [
  INTERNAL_ERROR,
  { name: '503 SlowDown', status: 503, code: 'SlowDown' },
  { name: '503 ServiceUnavailable', status: 503, code: 'ServiceUnavailable' },
  { name: '429 TooManyRequests', status: 429, code: 'TooManyRequests' },
  { name: '409 OperationAborted', status: 409, code: 'OperationAborted' },
  { name: '403 RequestTimeTooSkewed', status: 403, code: 'RequestTimeTooSkewed' },
  { name: '400 RequestTimeout', status: 400, code: 'RequestTimeout' },
  { name: '400 IncompleteBody', status: 400, code: 'IncompleteBody' },
  { name: '400 XAmzContentSHA256Mismatch', status: 400, code: 'XAmzContentSHA256Mismatch' },
  // What cannot be parsed is thrown as an error of no name.
  { name: '502 of a proxy', status: 502, code: '', body: BAD_GATEWAY, takenAs: { status: 502, code: 'Error' } },
  ERROR_IN_GOOD_ANSWER,
];

/** As the SDK throws it. */
export function errorOfRefusal({ name, status, code, takenAs }: S3Refusal): Error {
  const taken = takenAs ?? { status, code };
  return Object.assign(new Error(`as the model says: ${name}`), {
    name: taken.code,
    $metadata: { httpStatusCode: taken.status },
  });
}
