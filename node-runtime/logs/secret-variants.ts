/** Shorter values are not masked: they would be found in half of all words. The API refuses such secrets. */
const MIN_SECRET_BYTES = 6;
/** A piece of base64 that is as likely as any other text is no secret. */
const MIN_VARIANT_BYTES = 6;

/**
 * The forms in which a secret is likely to be printed: as it is, each of its lines, in JSON, percent-encoded, in hex, and in
 * base64 wherever in the encoded bytes it begins. This guards against accidents, not against a task that means to tell.
 */
export function secretVariants(secret: string): Buffer[] {
  const bytes = Buffer.from(secret);
  if (bytes.length < MIN_SECRET_BYTES) return [];
  const lines = secret.split(/\r?\n/).map(line => line.trim());
  const texts = [
    secret,
    ...lines.filter(line => Buffer.byteLength(line) >= MIN_SECRET_BYTES),
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
    percentEncodeAll(bytes),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...([0, 1, 2] as const).flatMap(shift => base64At(bytes, shift)),
  ];
  return [...new Set(texts)].map(text => Buffer.from(text)).filter(variant => variant.length >= MIN_VARIANT_BYTES);
}

/**
 * Base64 of bytes among which the secret begins at `shift`, modulo 3: the characters that depend on it alone; and those with
 * a character at either end that it shares with its neighbour, for all that the neighbour may be. Finds that share bytes are
 * hidden as one, so an end each will do.
 *
 * What stays visible is the first 2 bits of the secret, where `shift` is 2. They tell ASCII from other UTF-8. To hide them too
 * would take 16 more patterns, and as many more letters at which every text had to be looked at.
 */
function base64At(bytes: Buffer, shift: 0 | 1 | 2): string[] {
  const begin = (shift * 8) / 6;
  const end = ((shift + bytes.length) * 8) / 6;
  const encode = (before: number, after: number) =>
    Buffer.concat([Buffer.alloc(shift, before), bytes, Buffer.from([after])]).toString('base64');
  const core = encode(0, 0).slice(Math.ceil(begin), Math.floor(end));
  const withFirst = (before: number) => encode(before, 0).slice(Math.floor(begin), Math.floor(end));
  const withLast = (after: number) => encode(0, after).slice(Math.ceil(begin), Math.ceil(end));
  // Of the byte before, 2 bits are in the character; of the one after, 2 or 4.
  const first = shift === 2 ? [] : [0, 1, 2, 3].map(withFirst);
  const last = Array.from({ length: 16 }, (_, bits) => withLast(bits << 4));
  const all = [...new Set([core, ...first, ...last])];
  return [...all, ...all.map(text => text.replaceAll('+', '-').replaceAll('/', '_'))];
}

/** As strict encoders do it: everything but letters, digits and -._~ */
function percentEncodeAll(bytes: Buffer): string {
  return Array.from(bytes, byte => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9._~-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}
