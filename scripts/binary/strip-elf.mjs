/** Fields of ELF’s 64-bit headers, by their place. */
const SECTION = { type: 4, flags: 8, offset: 24, size: 32 };
const IS_LOADED = 2n;
const NO_BITS = 8;

/**
 * A Linux program without what only debuggers read: 18 MB less of Node. Done here, so that a build for another processor needs no
 * tools of that processor, and is the same everywhere. Sections keep their numbers: those taken out stay as empty ones.
 */
export function stripElf(program) {
  const view = Buffer.from(program);
  if (view.readUInt32BE(0) !== 0x7f454c46 || view[4] !== 2 || view[5] !== 1)
    throw new Error('Cannot strip the program as it is no 64-bit little-endian ELF file');
  const { sections, names } = readSections(view);
  const kept = sections.filter(({ isLoaded }) => isLoaded);
  const end = Math.max(
    segmentsEnd(view),
    ...kept.map(({ type, offset, size }) => (type === NO_BITS ? 0 : offset + size)),
  );
  const nameBytes = view.subarray(names.offset, names.offset + names.size);
  const headersAt = Math.ceil((end + nameBytes.length) / 8) * 8;
  const headers = Buffer.concat(sections.map(section => headerOf(section, names, end)));
  const stripped = Buffer.concat([
    view.subarray(0, end),
    nameBytes,
    Buffer.alloc(headersAt - end - nameBytes.length),
    headers,
  ]);
  stripped.writeBigUInt64LE(BigInt(headersAt), 0x28);
  return stripped;
}

function readSections(view) {
  const at = Number(view.readBigUInt64LE(0x28));
  const size = view.readUInt16LE(0x3a);
  const sections = Array.from({ length: view.readUInt16LE(0x3c) }, (_, number) => {
    const header = view.subarray(at + number * size, at + (number + 1) * size);
    return {
      header,
      type: header.readUInt32LE(SECTION.type),
      isLoaded: (header.readBigUInt64LE(SECTION.flags) & IS_LOADED) !== 0n,
      offset: Number(header.readBigUInt64LE(SECTION.offset)),
      size: Number(header.readBigUInt64LE(SECTION.size)),
    };
  });
  return { sections, names: sections[view.readUInt16LE(0x3e)] };
}

/** Where the last of what is mapped into memory ends. */
function segmentsEnd(view) {
  const at = Number(view.readBigUInt64LE(0x20));
  const size = view.readUInt16LE(0x36);
  const ends = Array.from({ length: view.readUInt16LE(0x38) }, (_, number) => {
    const header = at + number * size;
    return Number(view.readBigUInt64LE(header + 8)) + Number(view.readBigUInt64LE(header + 32));
  });
  return Math.max(...ends);
}

function headerOf(section, names, namesAt) {
  if (section.isLoaded) return section.header;
  if (section !== names) return Buffer.alloc(section.header.length);
  const header = Buffer.from(section.header);
  header.writeBigUInt64LE(BigInt(namesAt), SECTION.offset);
  return header;
}
