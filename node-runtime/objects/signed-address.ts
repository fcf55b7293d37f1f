import { createHmac, timingSafeEqual } from 'node:crypto';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { Clock } from '../system/clock.ts';
import { checkObjectKey } from './object-key.ts';

/** Where a node serves objects that a signed address names; the key follows. */
const SIGNED_OBJECTS_PATH = '/v1/objects/';

export interface AddressSigner {
  /** At least 32 bytes that nobody else knows. Addresses are good as long as it stays the same. */
  readonly secret: Uint8Array;
  /** Where the node can be reached, such as `http://127.0.0.1:8080`. A function, as a node learns it after it has started. */
  readonly baseUrl: () => string;
}

/** What an address allows: one method on one object until a time. */
export interface Grant {
  readonly method: 'GET' | 'PUT';
  readonly key: string;
  /** Seconds since 1970 by this machine's clock. */
  readonly expires: number;
  readonly downloadName?: string;
  readonly contentType?: string;
}

/** `BASE/v1/objects/KEY?expires=…&name=…&type=…&signature=…`: whoever has it may do what the grant says, and nothing else. */
export function signAddress(signer: AddressSigner, grant: Grant): string {
  checkObjectKey(grant.key);
  const query = new URLSearchParams({ expires: String(grant.expires) });
  if (grant.downloadName !== undefined) query.set('name', grant.downloadName);
  if (grant.contentType !== undefined) query.set('type', grant.contentType);
  query.set('signature', signatureOf(signer, grant).toString('hex'));
  const path = grant.key.split('/').map(encodeURIComponent).join('/');
  return `${signer.baseUrl()}${SIGNED_OBJECTS_PATH}${path}?${query}`;
}

/**
 * What a request for a signed address may do.
 * @param url the address, or its path and query as they stand in a request
 * @throws CiError `forbidden` for an address that was made for another method, has been changed, or has expired
 */
export function verifyAddress(signer: AddressSigner, clock: Clock, method: string, url: string): Grant {
  const refuse = (why: string) => new CiError('forbidden', `Cannot use address of an object as ${why}`);
  const address = parseAddress(method, url);
  if (address === undefined) throw refuse(`it is not whole: ${quote(`${method} ${url}`)}`);
  const { grant, signature } = address;
  if (!timingSafeEqual(signatureOf(signer, grant), signature))
    throw refuse(`its signature does not match the request: ${method} ${quote(grant.key)}`);
  const left = grant.expires - clock.now() / 1000;
  if (!(left > 0)) throw refuse(`it expired ${Math.ceil(-left)} s ago: ${quote(grant.key)}`);
  return grant;
}

function parseAddress(method: string, url: string): { readonly grant: Grant; readonly signature: Buffer } | undefined {
  const parsed = URL.parse(url, 'http://localhost');
  const query = parsed?.searchParams;
  const key = parsed?.pathname.startsWith(SIGNED_OBJECTS_PATH)
    ? decode(parsed.pathname.slice(SIGNED_OBJECTS_PATH.length))
    : undefined;
  const signature = Buffer.from(query?.get('signature') ?? '', 'hex');
  if ((method !== 'GET' && method !== 'PUT') || !query || key === undefined || signature.length !== 32)
    return undefined;
  const downloadName = query.get('name');
  const contentType = query.get('type');
  const grant = {
    method,
    key,
    expires: Number(query.get('expires')),
    ...(downloadName !== null && { downloadName }),
    ...(contentType !== null && { contentType }),
  } as const;
  return { grant, signature };
}

function signatureOf(signer: AddressSigner, grant: Grant): Buffer {
  const { method, key, expires, downloadName = null, contentType = null } = grant;
  // As JSON, so that no two grants can be written alike.
  return createHmac('sha256', signer.secret)
    .update(JSON.stringify(['simple-ci address 1', method, key, expires, downloadName, contentType]))
    .digest();
}

function decode(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
