import { once } from 'node:events';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { SandboxLost } from '../runner/sandbox.ts';
import { chunks, findFiles, MOST_FILES, openInside } from '../runner/workspace-files.ts';

/** Before each file; the last one has no path. */
const Header = z.object({
  path: z
    .string()
    .max(4096)
    .regex(/^(?!\/)(?!([\s\S]*\/)?\.{0,2}(\/|$))[^\u0000]+$/)
    .optional(),
  size: z.int().min(0).default(0),
  executable: z.boolean().default(false),
});
/** Folders take room too, and no name of a file says how many it needs. */
const MOST_FOLDERS = 5 * MOST_FILES;
const LARGEST_HEADER_BYTES = 65_536;
/** What disks give at least to what is not empty, and to each folder. */
const BLOCK_BYTES = 4096;

/** Writes the files of a workspace that patterns of artifacts match. Rejects with `invalid` for what the task got wrong. */
export async function sendFiles(
  workspace: string,
  patterns: readonly string[],
  to: Writable,
  signal: AbortSignal,
): Promise<void> {
  const { paths } = await findFiles(workspace, patterns, signal);
  for (const path of paths) {
    await using file = await openInside(workspace, path);
    const { size, mode } = await file.stat();
    await write(to, header({ path, size, executable: (mode & 0o111) !== 0 }));
    let rest = size;
    for await (const chunk of chunks(file)) {
      await write(to, chunk.subarray(0, rest));
      rest -= Math.min(rest, chunk.length);
      if (rest === 0) break;
    }
    if (rest > 0) throw new CiError('unavailable', `Cannot keep artifact as it became shorter: ${quote(path)}`);
  }
  await write(to, header({}));
}

export interface ReceiveOptions {
  readonly mostFolders?: number;
  /** Resolves when so many bytes of the disk may be taken. */
  readonly grow?: (bytes: number) => Promise<void>;
}

/**
 * Makes such files under a folder that nobody else writes to. Whoever sends them is not trusted: they lie in the folder, and
 * are no more and take no more of the disk than allowed: very many small ones take more than they hold.
 */
export async function receiveFiles(
  from: Readable,
  folder: string,
  mostBytes: number,
  { mostFolders = MOST_FOLDERS, grow = async () => undefined }: ReceiveOptions = {},
): Promise<void> {
  const reader = new ByteReader(from);
  let total = 0;
  let folders = 0;
  for (let count = 0; count <= MOST_FILES; count++) {
    const length = (await reader.exactly(4)).readUInt32BE();
    if (length > LARGEST_HEADER_BYTES) throw nonsense();
    const { path, size, executable } = readHeader(await reader.exactly(length));
    if (path === undefined) return;
    total += Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
    if (total > mostBytes)
      throw new CiError('invalid', `Cannot keep the artifacts as they take more than ${mostBytes} bytes together`);
    await grow(total);
    const place = join(folder, path);
    const made = await bySender(makeFolders(dirname(place)));
    total += made * BLOCK_BYTES;
    folders += made;
    if (folders > mostFolders)
      throw new CiError('invalid', `Cannot keep the artifacts as they are in more than ${mostFolders} folders`);
    await using file = await bySender(open(place, 'wx', executable ? 0o700 : 0o600));
    for await (const bytes of reader.next(size)) await file.write(bytes);
  }
  throw nonsense();
}

/** Tells how many there were not before. */
async function makeFolders(folder: string): Promise<number> {
  const first = await mkdir(folder, { recursive: true });
  return first === undefined ? 0 : relative(dirname(first), folder).split(sep).length;
}

function readHeader(bytes: Buffer): z.output<typeof Header> {
  try {
    return Header.parse(JSON.parse(bytes.toString()));
  } catch (error) {
    throw nonsense(error);
  }
}

/** What only the names can have caused: two files of one name, or one in the place of a folder. */
const SENDERS_FAULTS = new Set(['EEXIST', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG']);

async function bySender<T>(making: Promise<T>): Promise<T> {
  try {
    return await making;
  } catch (error) {
    throw SENDERS_FAULTS.has((error as NodeJS.ErrnoException).code ?? '') ? nonsense(error) : error;
  }
}

/** The node is not to blame: it would rest, and so would the next. */
function nonsense(cause?: unknown): SandboxLost {
  return new SandboxLost('place', 'Cannot read the files that the pod of the task sends', { cause });
}

function header(fields: z.input<typeof Header>): Buffer {
  const body = Buffer.from(JSON.stringify(fields));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

async function write(to: Writable, bytes: Uint8Array): Promise<void> {
  // One that has been closed tells nothing of it any more.
  if (to.destroyed) throw nonsense();
  if (to.write(bytes)) return;
  await Promise.race([once(to, 'drain'), once(to, 'close').then(() => Promise.reject(nonsense()))]);
}

/** A stream, read by so many bytes at a time. */
class ByteReader {
  readonly #source: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(from: Readable) {
    this.#source = from[Symbol.asyncIterator]();
  }

  async exactly(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.next(count)) parts.push(part);
    return Buffer.concat(parts);
  }

  /** The next so many bytes, as they come. */
  async *next(count: number): AsyncGenerator<Buffer> {
    for (let missing = count; missing > 0; ) {
      if (this.#rest.length === 0) {
        const { value, done } = await this.#source.next();
        if (done) throw nonsense();
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      missing -= part.length;
      yield part;
    }
  }
}
