import { execFile } from 'node:child_process';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryFolder } from './temporary-folder.ts';

const execute = promisify(execFile);

/** A disk of that size, such as 16m, for whoever gets to it; undefined where none can be mounted. */
export async function smallDisk(size: string): Promise<({ readonly path: string } & AsyncDisposable) | undefined> {
  await using made = new AsyncDisposableStack();
  const { path } = made.use(await temporaryFolder());
  const disk = join(path, 'disk');
  await mkdir(disk);
  // Tasks have users of their own, who must get to it.
  await chmod(path, 0o711);
  const mounted = await execute('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk]).catch(() => undefined);
  if (!mounted) return undefined;
  made.defer(async () => void (await execute('umount', ['--lazy', disk])));
  const all = made.move();
  return { path: disk, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
