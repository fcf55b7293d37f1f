import { realpath } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { WantedTask } from './submit-workspace.ts';

/** A folder that was sent, and the task that was to run in it. */
export interface SentFolder {
  /** As VS Code names it. */
  readonly folder: string;
  /** Of the workspace that it belongs to, without symbolic links. */
  readonly root: string;
  readonly task: WantedTask;
}

/** The root of the workspace, named as VS Code names the files in it: where a symbolic link leads to the folder, by way of the link. */
export async function namedRoot({ folder, root }: Pick<SentFolder, 'folder' | 'root'>): Promise<string> {
  const named = join(folder, relative(await realpath(folder), root));
  const isSame = (await realpath(named).catch(() => undefined)) === root;
  return isSame ? named : root;
}

/** Where the paths in a task’s log may be counted from, the likeliest first. A command runs in the folder, a task that has a name mostly at the root. */
export function foldersOfLog({ folder, root, task }: SentFolder): readonly string[] {
  const folders = task.kind === 'command' ? [folder, root] : [root, folder];
  return [...new Set(folders)];
}
