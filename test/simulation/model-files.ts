// Stands in for node:fs/promises where a node reads what a task has left: real files are read by threads, in no order.
import { basename } from 'node:path';

const files = new Map<string, Buffer>();

/** Puts a file there, for `open` to find. */
export function writeModelFile(path: string, bytes: Buffer): void {
  files.set(path, bytes);
}

export function removeModelFiles(folder: string): void {
  for (const path of files.keys()) if (path.startsWith(`${folder}/`)) files.delete(path);
}

/** All files lie directly in the folder. */
export async function readdir(folder: string, _options: { withFileTypes: true }) {
  const prefix = folder.endsWith('/') ? folder : `${folder}/`;
  return [...files.keys()]
    .filter(path => path.startsWith(prefix))
    .map(path => ({ name: basename(path), isDirectory: () => false, isFile: () => true }));
}

export async function lstat(_path: string) {
  return { isDirectory: () => true };
}

export async function open(path: string, _flags: number) {
  const bytes = files.get(path);
  if (!bytes) throw Object.assign(new Error(`No such file: ${path}`), { code: 'ENOENT' });
  return {
    stat: async () => ({ size: bytes.length, mode: 0o644 }),
    read: async (buffer: Buffer, offset: number, length: number, position: number) => ({
      bytesRead: bytes.copy(buffer, offset, position, position + length),
      buffer,
    }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}
