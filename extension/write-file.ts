import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Straight to the disk, whatever the size: all of it, or what was there before. */
export async function writeWholeFile(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const { part, file } = await freshFile(path);
  try {
    await pipeline(Readable.from(bytes), file.createWriteStream(), { signal });
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** Beside it, under a name that nobody has: what is called so already may be the user’s, or another window’s that saves the same. */
async function freshFile(path: string): Promise<{ readonly part: string; readonly file: FileHandle }> {
  for (let taken = 0; ; taken++) {
    const part = taken === 0 ? `${path}.part` : `${path}.${taken}.part`;
    const file = await open(part, 'wx').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    if (file) return { part, file };
  }
}
