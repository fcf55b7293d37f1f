import { constants } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, readFile, realpath, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { shellCommand } from '../workspace/shell-quote.ts';
import { PROGRAM, PROGRAM_ROOT } from './pod-places.ts';

const LIBRARIES = join(PROGRAM_ROOT, 'lib');

/**
 * Puts this program where the second container finds it, with the loader and the libraries that it runs on here: the image of a
 * task may have other ones, or none. A checkout is started from where it lies.
 */
export async function installProgram(program: readonly [string, ...string[]], isExecutable: boolean): Promise<void> {
  const [own, ...rest] = program;
  const loader = await installLibraries();
  const copy = join(PROGRAM_ROOT, 'program');
  if (isExecutable) await copyFile(own, copy, constants.COPYFILE_FICLONE);
  const command = [loader, '--library-path', LIBRARIES, isExecutable ? copy : own, ...rest];
  await writeFile(PROGRAM, `#!/bin/sh\nexec ${shellCommand(command)} "$@"\n`);
  await chmod(PROGRAM, 0o755);
}

/** Copies what is loaded into this process. Tells where the loader is. */
async function installLibraries(): Promise<string> {
  await mkdir(LIBRARIES, { recursive: true });
  const loaded = await loadedLibraries();
  for (const path of loaded) {
    await copyFile(path, join(LIBRARIES, basename(path)));
    for (const name of await otherNames(path))
      await symlink(basename(path), join(LIBRARIES, name)).catch(() => undefined);
  }
  const loader = loaded.map(path => basename(path)).find(name => name.startsWith('ld-'));
  if (loader !== undefined) return join(LIBRARIES, loader);
  throw new CiError('unavailable', 'Cannot install the program for the image of a task as its loader is not known');
}

async function loadedLibraries(): Promise<string[]> {
  const maps = await readFile('/proc/self/maps', 'utf8');
  return [...new Set(maps.match(/\/\S+\.so(\.\d+)*$/gm) ?? [])];
}

/** A library is asked for by the name that its version has in common with later ones, which is a link. */
async function otherNames(path: string): Promise<string[]> {
  const folder = dirname(path);
  const stem = basename(path).replace(/\.so.*$/, '.so');
  const names = (await readdir(folder)).filter(name => name.startsWith(stem) && name !== basename(path));
  const targets = await Promise.all(names.map(name => realpath(join(folder, name)).catch(() => '')));
  return names.filter((_, at) => targets[at] === path);
}
