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
    ...[0, 1, 2].flatMap(shift => base64At(bytes, shift)),
  ];
  return [...new Set(texts)].map(text => Buffer.from(text)).filter(variant => variant.length >= MIN_VARIANT_BYTES);
}

/** The characters that depend on the secret alone when `shift` other bytes, modulo 3, come before it. */
function base64At(bytes: Buffer, shift: number): string[] {
  const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
    .toString('base64')
    .replace(/=+$/, '');
  const bits = (shift + bytes.length) * 8;
  const core = encoded.slice(Math.ceil((shift * 8) / 6), Math.floor(bits / 6));
  return [core, core.replaceAll('+', '-').replaceAll('/', '_')];
}

/** As strict encoders do it: everything but letters, digits and -._~ */
function percentEncodeAll(bytes: Buffer): string {
  return Array.from(bytes, byte => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9._~-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}
