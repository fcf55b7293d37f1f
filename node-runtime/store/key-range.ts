import type { RangeRequest, WatchRequest } from './store.ts';

/** Keys from `start` on, up to but without `end`, in the order of their bytes. Without an end: all that follow. */
export interface KeyRange {
  readonly start: Buffer;
  readonly end?: Buffer;
}

/** The keys that start with a prefix, of these only the ones after `after` and up to `upTo`. */
export function prefixRange(prefix: string, after?: string, upTo?: string): KeyRange {
  const first = Buffer.from(prefix);
  const start = later(first, after);
  const end = earlier(prefixEnd(first), upTo);
  return end ? { start, end } : { start };
}

function later(first: Buffer, after: string | undefined): Buffer {
  const behind = after === undefined ? first : nextKey(after);
  return Buffer.compare(behind, first) > 0 ? behind : first;
}

function earlier(end: Buffer | undefined, upTo: string | undefined): Buffer | undefined {
  if (upTo === undefined) return end;
  const behind = nextKey(upTo);
  return end && Buffer.compare(end, behind) < 0 ? end : behind;
}

function nextKey(key: string): Buffer {
  return Buffer.from(`${key}\0`);
}

export function watchedRange({ prefix, after, upTo }: WatchRequest): KeyRange {
  return prefixRange(prefix, after, upTo);
}

/** The keys that a request asks for; `undefined` for one key alone. */
export function requestedRange(request: RangeRequest): KeyRange | undefined {
  return 'key' in request ? undefined : prefixRange(request.prefix, request.after);
}

/**
 * The first key after all that start with these bytes: the last byte counted up, once bytes that are 0xff already have been
 * dropped. Nothing follows an empty prefix or one of 0xff alone.
 */
export function prefixEnd(prefix: Buffer): Buffer | undefined {
  for (let last = prefix.length - 1; last >= 0; last--) {
    const byte = prefix[last]!;
    if (byte === 0xff) continue;
    const end = Buffer.from(prefix.subarray(0, last + 1));
    end[last] = byte + 1;
    return end;
  }
  return undefined;
}
