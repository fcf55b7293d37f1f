import fc from 'fast-check';

/** What a bad disk, a bad network or a bad person does to bytes. */
type Edit =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'remove'; readonly at: number; readonly count: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'overwrite'; readonly at: number; readonly bytes: Uint8Array };

/** In [0, 1): a place in bytes of any length. More of them near the beginning, where headers are. */
const place = fc.oneof(
  fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  fc.double({ min: 0, max: 0.05, noNaN: true }),
);
const some = fc.uint8Array({ minLength: 1, maxLength: 8 });
export const edits: fc.Arbitrary<Edit[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('flip' as const), at: place, bit: fc.nat(7) }),
    fc.record({ kind: fc.constant('cut' as const), at: place }),
    fc.record({ kind: fc.constant('remove' as const), at: place, count: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ kind: fc.constant('insert' as const), at: place, bytes: some }),
    fc.record({ kind: fc.constant('overwrite' as const), at: place, bytes: some }),
  ),
  { minLength: 1, maxLength: 4 },
);

export function damaged(bytes: Uint8Array, list: readonly Edit[]): Uint8Array {
  return list.reduce(edited, bytes);
}

function edited(bytes: Uint8Array, edit: Edit): Uint8Array {
  const at = Math.floor(edit.at * bytes.length);
  switch (edit.kind) {
    case 'flip': {
      const flipped = Uint8Array.from(bytes);
      if (flipped.length > 0) flipped[at]! ^= 1 << edit.bit;
      return flipped;
    }
    case 'cut':
      return bytes.slice(0, at);
    case 'remove':
      return spliced(bytes, at, edit.count, new Uint8Array());
    case 'insert':
      return spliced(bytes, at, 0, edit.bytes);
    case 'overwrite':
      return spliced(bytes, at, edit.bytes.length, edit.bytes);
  }
}

function spliced(bytes: Uint8Array, at: number, count: number, by: Uint8Array): Uint8Array {
  return Uint8Array.from(Buffer.concat([bytes.subarray(0, at), by, bytes.subarray(at + count)]));
}
