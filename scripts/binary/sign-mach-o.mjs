import { createHash } from 'node:crypto';

/** Names of Apple’s: `mach-o/loader.h` and `cs_blobs.h`. */
const MAGIC_64 = 0xfeedfacf;
const LC_SEGMENT_64 = 0x19;
const LC_CODE_SIGNATURE = 0x1d;
const EMBEDDED_SIGNATURE = 0xfade0cc0;
const CODE_DIRECTORY = 0xfade0c02;
const CODE_DIRECTORY_VERSION = 0x20400;
const AD_HOC = 0x2;
const MAIN_BINARY = 1n;
const SHA_256 = { type: 2, bytes: 32 };

const PAGE_BITS = 12;
const PAGE = 2 ** PAGE_BITS;
const HEADER = 32;
/** Of a code directory of this version, up to the name. */
const DIRECTORY_HEADER = 88;
const ARM64 = 0x0100000c;

/**
 * A macOS program with an ad-hoc signature: hashes of its pages, and nobody’s name. Without one, Apple’s processors run no program;
 * with it, a downloaded one is still asked about or refused until its user allows it, as it is not notarised. What `codesign --sign -` does.
 */
export function signMachO(program, name) {
  const { commands, segments, signature, end } = readCommands(program);
  if (signature) throw new Error('Cannot sign the program as it has a signature already');
  const room = Math.min(...segments.flatMap(({ firstSection }) => firstSection)) - end;
  if (room < 16) throw new Error(`Cannot sign the program as there is no room for another load command: ${room} bytes`);
  const codeLimit = align(program.length, 16);
  const size = align(20 + directorySize(codeLimit, name), 16);
  const code = Buffer.concat([program, Buffer.alloc(codeLimit - program.length)]);
  addCommand(code, { commands, end, codeLimit, size });
  growLinkEdit(code, segments, codeLimit + size);
  const text = segments.find(segment => segment.name === '__TEXT');
  return Buffer.concat([code, superBlob(codeDirectory(code, name, text), size)]);
}

/** What a program says of itself, as far as signing needs it. */
function readCommands(program) {
  if (program.readUInt32LE(0) !== MAGIC_64) throw new Error('Cannot sign the program as it is no 64-bit Mach-O file');
  const commands = program.readUInt32LE(16);
  const segments = [];
  let signature;
  let at = HEADER;
  for (let number = 0; number < commands; number++) {
    const kind = program.readUInt32LE(at);
    if (kind === LC_SEGMENT_64) segments.push(readSegment(program, at));
    if (kind === LC_CODE_SIGNATURE)
      signature = { offset: program.readUInt32LE(at + 8), size: program.readUInt32LE(at + 12) };
    at += program.readUInt32LE(at + 4);
  }
  return { commands, segments, signature, end: at };
}

function readSegment(program, at) {
  const sections = Array.from({ length: program.readUInt32LE(at + 64) }, (_, number) =>
    program.readUInt32LE(at + 72 + number * 80 + 48),
  );
  return {
    at,
    name: program.toString('latin1', at + 8, at + 24).replace(/\0.*$/s, ''),
    offset: Number(program.readBigUInt64LE(at + 40)),
    size: Number(program.readBigUInt64LE(at + 48)),
    firstSection: sections.filter(offset => offset > 0),
  };
}

function addCommand(code, { commands, end, codeLimit, size }) {
  code.writeUInt32LE(commands + 1, 16);
  code.writeUInt32LE(code.readUInt32LE(20) + 16, 20);
  for (const [index, word] of [LC_CODE_SIGNATURE, 16, codeLimit, size].entries())
    code.writeUInt32LE(word, end + 4 * index);
}

/** The signature is the end of the last segment. */
function growLinkEdit(code, segments, fileSize) {
  const { at, offset } = segments.find(segment => segment.name === '__LINKEDIT');
  const memoryPage = code.readUInt32LE(4) === ARM64 ? 16_384 : 4096;
  code.writeBigUInt64LE(BigInt(fileSize - offset), at + 48);
  code.writeBigUInt64LE(BigInt(align(fileSize - offset, memoryPage)), at + 32);
}

function directorySize(codeLimit, name) {
  return DIRECTORY_HEADER + name.length + 1 + Math.ceil(codeLimit / PAGE) * SHA_256.bytes;
}

function codeDirectory(code, name, text) {
  const hashes = Array.from({ length: Math.ceil(code.length / PAGE) }, (_, page) =>
    createHash('sha256')
      .update(code.subarray(page * PAGE, (page + 1) * PAGE))
      .digest(),
  );
  const hashesAt = DIRECTORY_HEADER + name.length + 1;
  const header = Buffer.alloc(DIRECTORY_HEADER);
  const words = [
    CODE_DIRECTORY,
    directorySize(code.length, name),
    CODE_DIRECTORY_VERSION,
    AD_HOC,
    hashesAt,
    DIRECTORY_HEADER,
    0, // no special slots
    hashes.length,
    code.length,
  ];
  bigEndian(words).copy(header);
  header.set([SHA_256.bytes, SHA_256.type, 0, PAGE_BITS], 36);
  header.writeBigUInt64BE(BigInt(text.offset), 64);
  header.writeBigUInt64BE(BigInt(text.size), 72);
  header.writeBigUInt64BE(MAIN_BINARY, 80);
  return Buffer.concat([header, Buffer.from(`${name}\0`, 'latin1'), ...hashes]);
}

/** The code directory is all there is in it. */
function superBlob(directory, size) {
  const blob = Buffer.alloc(size);
  bigEndian([EMBEDDED_SIGNATURE, 20 + directory.length, 1, 0, 20]).copy(blob);
  directory.copy(blob, 20);
  return blob;
}

function bigEndian(words) {
  return Buffer.from(Uint32Array.from(words).buffer).swap32();
}

function align(value, to) {
  return Math.ceil(value / to) * to;
}
