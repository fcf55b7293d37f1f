import { createHash } from 'node:crypto';
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import type { ObjectFormat } from './git-dir.ts';

/** Writes a commit object of this text (gitformat-commit) into a git directory, and gives its id: a process less than by git. */
export async function writeCommit(gitDir: string, format: ObjectFormat, text: string): Promise<string> {
  const content = Buffer.from(text);
  const object = Buffer.concat([Buffer.from(`commit ${content.length}\0`), content]);
  const id = createHash(format).update(object).digest('hex');
  const folder = join(gitDir, 'objects', id.slice(0, 2));
  const file = join(folder, id.slice(2));
  if (await stat(file).catch(() => undefined)) return id;
  await mkdir(folder, { recursive: true });
  // As git names its own: what an interrupted run leaves behind, `git prune` finds.
  const unfinished = join(folder, `tmp_obj_${process.pid}`);
  await writeFile(unfinished, deflateSync(object), { mode: 0o444 });
  await rename(unfinished, file);
  return id;
}
