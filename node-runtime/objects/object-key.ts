import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';

/** S3's own limit, in bytes of UTF-8, for the key together with the store's prefix. */
const MAX_KEY_BYTES = 1024;

/**
 * Refuses a key that some store could not keep or some address not carry: an empty one, one with an empty, `.` or `..` part
 * between its slashes (URL parsers resolve those, also when escaped), one with a control character (XML cannot name it).
 */
export function checkObjectKey(key: string): void {
  const refuse = (why: string) => new CiError('invalid', `Cannot use object key as ${why}: ${quote(key)}`);
  if (!key.isWellFormed()) throw refuse('it is not well-formed Unicode');
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw refuse(`it is longer than ${MAX_KEY_BYTES} bytes`);
  if (/[\u0000-\u001f\u007f]/.test(key)) throw refuse('it has a control character');
  for (const part of key.split('/')) {
    if (part === '' || part === '.' || part === '..') throw refuse('a part between its slashes is empty, "." or ".."');
  }
}

/**
 * Compares keys by their bytes in UTF-8, the order in which every store lists them. It differs from JavaScript's own order
 * where surrogate pairs meet the characters from U+E000 to U+FFFF.
 */
export function compareKeys(one: string, other: string): number {
  const end = Math.min(one.length, other.length);
  for (let i = 0; i < end; i++) {
    const a = one.charCodeAt(i);
    const b = other.charCodeAt(i);
    if (a !== b) return isSurrogate(a) === isSurrogate(b) ? a - b : isSurrogate(a) ? 1 : -1;
  }
  return one.length - other.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}
