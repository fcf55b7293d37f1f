import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Mask } from '../../node-runtime/logs/mask.ts';
import { secretVariants } from '../../node-runtime/logs/secret-variants.ts';

function masked(secrets: readonly string[], chunks: readonly Uint8Array[]): Buffer {
  const mask = new Mask(secrets);
  return Buffer.concat([...chunks.flatMap(chunk => [...mask.push(chunk)]), ...mask.flush()]);
}

function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [0, ...places.map(place => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end));
}

/** What masking means, without streaming or cleverness: every byte of a find is hidden, finds that share bytes are one. */
function expected(secrets: readonly string[], bytes: Buffer): Buffer {
  const found: [number, number][] = [];
  for (const variant of secrets.flatMap(secretVariants)) {
    for (let at = bytes.indexOf(variant); at >= 0; at = bytes.indexOf(variant, at + 1))
      found.push([at, at + variant.length]);
  }
  found.sort(([a], [b]) => a - b);
  const out: Uint8Array[] = [];
  let done = 0;
  for (const [from, to] of found) {
    if (from >= done) out.push(bytes.subarray(done, from), Buffer.from('***'));
    done = Math.max(done, to);
  }
  return Buffer.concat([...out, bytes.subarray(done)]);
}

const SECRET = 'p@ss "wörd"/+?\nsecond line of it';
const ENCODINGS: Record<string, (secret: Buffer) => string> = {
  'as it is': secret => secret.toString(),
  'its first line': secret => secret.toString().split('\n')[0]!,
  'its second line': secret => secret.toString().split('\n')[1]!,
  base64: secret => secret.toString('base64'),
  'base64, one byte in': secret => Buffer.concat([Buffer.from('x'), secret]).toString('base64'),
  'base64, two bytes in': secret => Buffer.concat([Buffer.from('xy'), secret]).toString('base64'),
  base64url: secret => secret.toString('base64url'),
  'percent-encoded': secret => encodeURIComponent(secret.toString()),
  JSON: secret => JSON.stringify(secret.toString()).slice(1, -1),
  hex: secret => secret.toString('hex'),
  'upper-case hex': secret => secret.toString('hex').toUpperCase(),
};

for (const [encoding, encode] of Object.entries(ENCODINGS)) {
  test(`a secret printed ${encoding} is hidden wherever it is cut`, () => {
    const shown = encode(Buffer.from(SECRET));
    const bytes = Buffer.from(`before ${shown} after`);
    for (let first = 0; first <= bytes.length; first++) {
      for (const second of [first, Math.floor((first + bytes.length) / 2), bytes.length - 1]) {
        const out = masked([SECRET], cut(bytes, [first, second])).toString();
        // The outermost characters of base64 belong to what stands around the secret too.
        assert.ok(!out.includes(shown.slice(4, -4)), `cut at ${first} and ${second}: ${out}`);
        assert.ok(out.startsWith('before ') && out.includes('***') && out.endsWith(' after'), out);
      }
    }
  });
}

test('a secret is hidden in base64 of any text that it is a part of', () => {
  const secret = 'correct-horse-battery';
  for (let before = 0; before < 12; before++) {
    const encoded = Buffer.from(`${'u'.repeat(before)}${secret}:rest`).toString('base64');
    const out = masked([secret], [Buffer.from(encoded)]).toString();
    assert.ok(out.includes('***'), `${before}: ${out}`);
    assert.ok(!Buffer.from(out.replace('***', ''), 'base64').toString().includes('horse'));
  }
});

test('of a secret in base64, among whatever bytes, at most its first 2 bits are to be seen, and its neighbours stay', () => {
  const secrets = fc.oneof(
    fc.string({ unit: fc.constantFrom(...'aZ09+/ '), minLength: 6, maxLength: 20 }),
    fc.string({ unit: 'grapheme', minLength: 6, maxLength: 40 }),
  );
  // Bytes that continue no secret.
  const neighbours = fc.array(fc.integer({ min: 0xf8, max: 0xff }), { maxLength: 9 });
  const encodings = fc.constantFrom('base64' as const, 'base64url' as const);
  fc.assert(
    fc.property(secrets, neighbours, neighbours, encodings, (secret, before, after, encoding) => {
      const bytes = Buffer.from(secret);
      const encoded = Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)]).toString(encoding);
      const firstBit = before.length * 8;
      const visible = before.length % 3 === 2 ? 2 : 0;
      const from = Math.floor((firstBit + visible) / 6);
      const to = Math.ceil((firstBit + bytes.length * 8) / 6);
      const out = masked([secret], [Buffer.from(encoded)]).toString();
      assert.equal(out, `${encoded.slice(0, from)}***${encoded.slice(to)}`);
    }),
    { numRuns: 1000 },
  );
});

test('exactly the secrets are hidden, and no other byte is changed, however the stream is cut', () => {
  // Secrets that overlap, contain and begin like each other, among bytes that look like them.
  const letters = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 6, maxLength: 12 });
  const secrets = fc.array(letters, { minLength: 1, maxLength: 4 });
  const text = fc.array(fc.oneof({ weight: 8, arbitrary: fc.constantFrom(97, 98) }, fc.nat(255)), { maxLength: 120 });
  fc.assert(
    fc.property(secrets, text, fc.array(fc.nat(), { maxLength: 12 }), (values, codes, places) => {
      const bytes = Buffer.from(codes);
      assert.equal(masked(values, cut(bytes, places)).toString('latin1'), expected(values, bytes).toString('latin1'));
    }),
    { numRuns: 1000 },
  );
});

test('only what may be the beginning of a secret is held back', () => {
  const mask = new Mask(['hunter22']);
  assert.equal(Buffer.concat([...mask.push(Buffer.from('is it hunt'))]).toString(), 'is it ');
  assert.equal(mask.held, 4);
  assert.equal(Buffer.concat([...mask.push(Buffer.from('ing\n'))]).toString(), 'hunting\n');
  assert.equal(mask.held, 0);
});

test('a few held bytes are given out when nothing follows, and the secret they begin is still hidden', () => {
  const mask = new Mask(['hunter22']);
  const out = [
    ...mask.push(Buffer.from('a h')),
    ...mask.release(),
    ...mask.push(Buffer.from('unter22 b')),
    ...mask.flush(),
  ];
  assert.equal(Buffer.concat(out).toString(), 'a h*** b');
});

test('many held bytes wait for what follows them', () => {
  const mask = new Mask(['hunter22']);
  const out = [
    ...mask.push(Buffer.from('hunter')),
    ...mask.release(),
    ...mask.push(Buffer.from('22')),
    ...mask.flush(),
  ];
  assert.equal(Buffer.concat(out).toString(), '***');
});

test('without secrets the bytes pass uncopied, and with secrets as views of what came', () => {
  const bytes = Buffer.from('plain output\n');
  assert.equal(new Mask([]).push(bytes)[0], bytes);
  assert.equal(new Mask(['hunter22']).push(bytes)[0]?.buffer, bytes.buffer);
});

test('values too short to be told from other words are not masked', () => {
  assert.equal(masked(['abc', ''], [Buffer.from('abcabc')]).toString(), 'abcabc');
});

test('a text by itself is masked whole', () => {
  assert.equal(new Mask(['hunter22']).text('echo hunter22 hunt'), 'echo *** hunt');
});

test('long secrets are found beyond the states that have tables', () => {
  const secret = Array.from({ length: 4000 }, (_, i) => String.fromCharCode(33 + ((i * i * 7 + i) % 90))).join('');
  const bytes = Buffer.from(`x${secret.slice(0, 3999)}!${secret}y`);
  assert.equal(masked([secret], cut(bytes, [1000, 3000, 4100, 7000])).toString(), `x${secret.slice(0, 3999)}!***y`);
});
