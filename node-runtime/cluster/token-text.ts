import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Role } from '../../shared/api.ts';

/**
 * An API token as its holder has it: `sci_KIND_ID_SECRET_CHECK`. KIND is the first letter of its role, for people; ID finds
 * the record; SECRET is 256 bits of chance; CHECK is a checksum, by which a mistyped or invented token is refused without
 * asking the store, and by which secret scanners know a real one.
 */
export interface TokenText {
  readonly id: string;
  readonly secret: string;
}

const TOKEN = /^(sci_[var]_([0-9a-z]{8})_([0-9A-Za-z]{43}))_([0-9a-f]{8})$/;
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

export function newTokenText(role: Role): TokenText & { readonly text: string } {
  const id = randomText(8, BASE62.slice(0, 10) + BASE62.slice(36));
  const secret = randomText(43, BASE62);
  const body = `sci_${role[0]}_${id}_${secret}`;
  return { id, secret, text: `${body}_${check(body)}` };
}

/** Undefined for anything that no cluster has ever issued. */
export function parseTokenText(text: string): TokenText | undefined {
  const [, body, id, secret, given] = TOKEN.exec(text) ?? [];
  if (!body || !id || !secret || given !== check(body)) return undefined;
  return { id, secret };
}

/** What is stored of a secret. It has 256 random bits, so a slow hash would protect nothing. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function check(body: string): string {
  return crc32(body).toString(16).padStart(8, '0');
}

/** Evenly drawn characters: bytes past the last whole multiple of the alphabet are thrown away. */
function randomText(length: number, alphabet: string): string {
  const limit = 256 - (256 % alphabet.length);
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length * 2)) {
      if (byte < limit && text.length < length) text += alphabet[byte % alphabet.length];
    }
  }
  return text;
}
