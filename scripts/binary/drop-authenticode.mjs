/** The place of the certificate table in the optional header of a 64-bit Windows program. */
const CERTIFICATES = 144;

/**
 * A Windows program without its publisher’s signature: what is put into Node makes that wrong, and Windows distrusts a wrong
 * signature more than none. The signature is the end of the file.
 */
export function dropAuthenticode(program) {
  const header = program.readUInt32LE(0x3c);
  const optional = header + 24;
  if (program.toString('latin1', header, header + 4) !== 'PE\0\0' || program.readUInt16LE(optional) !== 0x20b)
    throw new Error('Cannot take the signature off the program as it is no 64-bit Windows program');
  const offset = program.readUInt32LE(optional + CERTIFICATES);
  const size = program.readUInt32LE(optional + CERTIFICATES + 4);
  if (size === 0) return program;
  if (offset + size !== program.length)
    throw new Error(
      `Cannot take the signature off the program as it is not at its end: ${offset} + ${size} of ${program.length} bytes`,
    );
  const unsigned = Buffer.from(program.subarray(0, offset));
  unsigned.fill(0, optional + CERTIFICATES, optional + CERTIFICATES + 8);
  return unsigned;
}
