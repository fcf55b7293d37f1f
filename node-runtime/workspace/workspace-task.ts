import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path/posix';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { TaskBody } from '../../shared/task.ts';
import type { Workspace } from './find-workspace.ts';

/** A task that some file of the workspace names. */
export interface WorkspaceTask {
  readonly name: string;
  readonly from: TaskOrigin;
  /** What it runs, or what its author says of it; one line. */
  readonly description: string;
  /** Throws `invalid` for what cannot run on a node. */
  readonly body: () => TaskBody;
}

export type TaskOrigin = 'simple-ci.yaml' | 'package.json' | 'Makefile' | '.vscode/tasks.json';

export interface NearbyFile {
  readonly text: string;
  /** Relative to the workspace, for people. */
  readonly path: string;
  /** The folder it speaks of, relative to the workspace; empty for the root. */
  readonly folder: string;
}

/** The first of these files in the folder where the user is, else in the folders above it up to the workspace's root. */
export async function nearbyFile(workspace: Workspace, names: readonly string[]): Promise<NearbyFile | undefined> {
  for (const folder of foldersUpward(workspace.subdirectory)) {
    for (const name of names) {
      const path = join(folder, name);
      const text = await readText(join(workspace.root, path), path);
      if (text !== undefined) return { text, path, folder };
    }
  }
  return undefined;
}

export function foldersUpward(subdirectory: string): string[] {
  const parent = dirname(subdirectory);
  return subdirectory === '' ? [''] : [subdirectory, ...foldersUpward(parent === '.' ? '' : parent)];
}

const MAX_BYTES = 4_194_304;

async function readText(file: string, path: string): Promise<string | undefined> {
  const info = await stat(file).catch(() => undefined);
  if (!info?.isFile()) return undefined;
  if (info.size > MAX_BYTES)
    throw new CiError('invalid', `Cannot look for tasks in ${quote(path)} as it is too large: ${info.size} bytes`);
  return readFile(file, 'utf8');
}

/** The first line of a text, as long as fits on a screen. */
export function oneLine(text: string): string {
  const line = text.trim().split('\n', 1)[0] ?? '';
  return line.length > 100 ? `${line.slice(0, 99)}…` : line;
}

export function inFolder(folder: string): { workingDirectory?: string } {
  return folder === '' ? {} : { workingDirectory: folder };
}
