import fc from 'fast-check';

/** Letter by letter: what grows where each change of a letter is looked at, and is noise elsewhere. */
export const rawText = fc
  .array(fc.nat(126), { maxLength: 300, size: 'max' })
  .map(codes => String.fromCharCode(...codes));
export const rawBytes = fc.uint8Array({ maxLength: 300, size: 'max' });
