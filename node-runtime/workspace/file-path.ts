import { lstatSync, type Stats } from 'node:fs';

/**
 * A file's path as git tells it: relative to the work tree, parts separated by /, its bytes as latin1 characters. File names
 * are bytes and need not be UTF-8; this way none is bent.
 */
export type FilePath = string;

/** As people read it. */
export function showPath(path: FilePath): string {
  return Buffer.from(path, 'latin1').toString();
}

/** As the file system takes it. */
export function pathBytes(workTree: string, path: FilePath): Buffer {
  return Buffer.concat([Buffer.from(`${workTree}/`), Buffer.from(path, 'latin1')]);
}

/** What is there, without following a link; undefined if there is nothing. */
export function lookAt(workTree: string, path: FilePath): Stats | undefined {
  try {
    return lstatSync(pathBytes(workTree, path));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined;
    throw error;
  }
}

/** Output of git commands with `-z`. */
export function splitPaths(output: Buffer): FilePath[] {
  const paths = output.toString('latin1').split('\0');
  paths.pop();
  return paths;
}

export function joinPaths(paths: Iterable<FilePath>): Buffer {
  return Buffer.from([...paths, ''].join('\0'), 'latin1');
}
