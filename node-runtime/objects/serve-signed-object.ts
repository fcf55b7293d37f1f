import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { Clock } from '../system/clock.ts';
import { contentDisposition } from './content-disposition.ts';
import type { ObjectStore } from './object-store.ts';
import { type AddressSigner, type Grant, verifyAddress } from './signed-address.ts';

/** A request as an HTTP server got it. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** The header `range`. */
  readonly range?: string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
}

export interface SignedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: AsyncIterable<Uint8Array>;
}

/** Does what the signed address of a request allows. Throws CiError `forbidden` or `not-found`. */
export async function serveSignedObject(
  { objects, signer, clock }: { readonly objects: ObjectStore; readonly signer: AddressSigner; readonly clock: Clock },
  request: SignedRequest,
  signal: AbortSignal,
): Promise<SignedAnswer> {
  const grant = verifyAddress(signer, clock, request.method, request.url);
  if (grant.method === 'GET') return getObject(objects, grant, request.range, signal);
  await objects.put(grant.key, request.body, { signal });
  return { status: 200, headers: { 'content-length': '0' } };
}

async function getObject(
  objects: ObjectStore,
  grant: Grant,
  rangeHeader: string | undefined,
  signal: AbortSignal,
): Promise<SignedAnswer> {
  const info = await objects.head(grant.key, { signal });
  const range = info && parseRange(rangeHeader, info.size);
  if (range === 'past its end') return { status: 416, headers: { 'content-range': `bytes */${info!.size}` } };
  const object = info && (await objects.get(grant.key, { signal, ...(range && { range }) }));
  if (object === undefined) throw new CiError('not-found', `Cannot find object: ${quote(grant.key)}`);
  const { start, end } = range ?? { start: 0, end: object.size };
  return {
    status: range === undefined ? 200 : 206,
    headers: {
      'accept-ranges': 'bytes',
      'content-type': grant.contentType ?? 'application/octet-stream',
      'content-length': String(end - start),
      // Never shown as a page: what a task has made must not run as one of this origin.
      'content-disposition': grant.downloadName === undefined ? 'attachment' : contentDisposition(grant.downloadName),
      'x-content-type-options': 'nosniff',
      ...(range && { 'content-range': `bytes ${start}-${end - 1}/${object.size}` }),
    },
    body: object.bytes,
  };
}

/** One range of bytes (`bytes=0-9`, `bytes=5-`, `bytes=-5`). Anything else is left unheeded, as HTTP allows. */
function parseRange(
  header: string | undefined,
  size: number,
): { readonly start: number; readonly end: number } | 'past its end' | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === undefined || last === undefined || first + last === '') return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(Number(last) + 1, size);
  if (last !== '' && first !== '' && Number(last) < start) return undefined;
  return start >= size ? 'past its end' : { start, end };
}
