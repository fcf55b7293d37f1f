import { CiError } from '../../shared/errors.ts';
import { watchedRange } from './key-range.ts';
import {
  MAX_TRANSACTION_SIZE,
  MAX_VALUE_BYTES,
  type Operation,
  type RangeRequest,
  type Transaction,
  type WatchRequest,
} from './store.ts';

/** Keys and values of one transaction together, in bytes: below the 1.5 MiB at which etcd refuses a request. */
const MAX_TRANSACTION_BYTES = 1_400_000;
/** Longest key, in bytes of UTF-8. */
const MAX_KEY_BYTES = 4096;
/** Most records of one read. */
const MAX_RANGE = 10_000;

/** What any store refuses without asking its server: the same limits, and the same words, whichever store it is. */
export function checkTransaction(transaction: Transaction): void {
  checkSize(transaction);
  let bytes = 0;
  for (const compare of transaction.when) bytes += checkKey(compare.key);
  for (const key of transaction.otherwise ?? []) bytes += checkKey(key);
  for (const operation of transaction.then) bytes += checkOperation(operation);
  if (bytes > MAX_TRANSACTION_BYTES) {
    throw new CiError(
      'too-large',
      `Cannot commit a transaction as it is too large: ${bytes} bytes, at most ${MAX_TRANSACTION_BYTES}`,
    );
  }
  checkRevisions(transaction);
  checkDistinct(transaction.then);
}

export function checkRange(request: RangeRequest): void {
  if ('key' in request) checkKey(request.key);
  else checkText('prefix', request.prefix);
  if (!Number.isSafeInteger(request.limit) || request.limit < 1 || request.limit > MAX_RANGE) {
    throw new CiError('invalid', `Cannot read as the limit is not from 1 to ${MAX_RANGE}: ${request.limit}`);
  }
  if (request.revision !== undefined) checkRevision('read', request.revision, 1);
}

export function checkWatch(request: WatchRequest): void {
  checkText('prefix', request.prefix);
  for (const key of [request.after, request.upTo]) if (key !== undefined) checkKey(key);
  const { start, end } = watchedRange(request);
  if (end && Buffer.compare(start, end) >= 0) {
    throw new CiError(
      'invalid',
      `Cannot watch as no key lies after ${request.after} and up to ${request.upTo} under ${request.prefix}`,
    );
  }
  checkRevision('watch', request.from, 1);
}

export function checkTtl(ttlSeconds: number): void {
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > 86_400) {
    throw new CiError('invalid', `Cannot grant a lease as its length is not 1 to 86400 whole seconds: ${ttlSeconds}`);
  }
}

function checkSize({ when, then, otherwise = [] }: Transaction): void {
  const size = when.length + then.length;
  if (size <= MAX_TRANSACTION_SIZE && otherwise.length <= MAX_TRANSACTION_SIZE) return;
  throw new CiError(
    'too-large',
    `Cannot commit a transaction as it has too many parts: ${Math.max(size, otherwise.length)}, at most ${MAX_TRANSACTION_SIZE}`,
  );
}

function checkOperation(operation: Operation): number {
  if ('delete' in operation) return checkKey(operation.delete);
  checkText('value', operation.value);
  const bytes = Buffer.byteLength(operation.value);
  if (bytes > MAX_VALUE_BYTES) {
    throw new CiError(
      'too-large',
      `Cannot write ${operation.put} as its value is too large: ${bytes} bytes, at most ${MAX_VALUE_BYTES}`,
    );
  }
  return checkKey(operation.put) + bytes;
}

function checkKey(key: string): number {
  checkText('key', key);
  const bytes = Buffer.byteLength(key);
  if (bytes === 0) throw new CiError('invalid', 'Cannot use an empty key');
  if (bytes > MAX_KEY_BYTES) {
    throw new CiError('too-large', `Cannot use a key as it is too long: ${bytes} bytes, at most ${MAX_KEY_BYTES}`);
  }
  return bytes;
}

/** Half a surrogate pair has no UTF-8: it would silently be written as another character. */
function checkText(what: string, text: string): void {
  if (text.isWellFormed()) return;
  throw new CiError(
    'invalid',
    `Cannot use a ${what} that is not well-formed Unicode: ${JSON.stringify(text.slice(0, 200))}`,
  );
}

function checkRevisions({ when }: Transaction): void {
  for (const compare of when) {
    if ('createRevision' in compare) checkRevision(`compare ${compare.key}`, compare.createRevision, 1);
    if ('modRevision' in compare) checkRevision(`compare ${compare.key}`, compare.modRevision, 0);
  }
}

function checkRevision(what: string, revision: number, least: number): void {
  if (Number.isSafeInteger(revision) && revision >= least) return;
  throw new CiError('invalid', `Cannot ${what} as the revision is not a whole number from ${least}: ${revision}`);
}

function checkDistinct(operations: readonly Operation[]): void {
  const seen = new Set<string>();
  for (const operation of operations) {
    const key = 'put' in operation ? operation.put : operation.delete;
    if (seen.has(key)) throw new CiError('invalid', `Cannot commit a transaction as it changes a key twice: ${key}`);
    seen.add(key);
  }
}
