/** Reads what begins with five marks, and fails for one that has them all. Each is looked at only if those before it are right. */
export function readMarked(bytes: Uint8Array): number {
  if (bytes[0] !== 0xd5) return 0;
  if (bytes[1] !== 0x1b) return 1;
  if (bytes[2]! < 0x70 || bytes[2]! > 0x7f) return 2;
  if (bytes[3] !== 0x92) return 3;
  if (bytes[4]! % 64 !== 21) return 4;
  throw new Error('This is the mistake');
}
