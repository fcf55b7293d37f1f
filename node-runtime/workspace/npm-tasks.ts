import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import type { Workspace } from './find-workspace.ts';
import { shellCommand } from './shell-quote.ts';
import { foldersUpward, inFolder, type NearbyFile, nearbyFile, oneLine, type WorkspaceTask } from './workspace-task.ts';

const LOCKFILES = {
  'pnpm-lock.yaml': 'pnpm',
  'yarn.lock': 'yarn',
  'bun.lock': 'bun',
  'bun.lockb': 'bun',
  'package-lock.json': 'npm',
} as const;

const MANAGERS: readonly string[] = ['npm', 'pnpm', 'yarn', 'bun'];

/** The scripts of package.json, run by the package manager that the project uses. */
export async function npmTasks(workspace: Workspace): Promise<WorkspaceTask[]> {
  const file = await nearbyFile(workspace, ['package.json']);
  if (!file) return [];
  const { scripts, packageManager } = parsePackage(file);
  const manager = await managerOf(workspace, file, packageManager);
  return Object.entries(scripts).map(([name, script]) => ({
    name,
    from: 'package.json',
    description: oneLine(script),
    body: () => ({
      name,
      steps: [{ run: shellCommand([manager, 'run', name]), shell: 'sh' }],
      ...inFolder(file.folder),
    }),
  }));
}

function parsePackage({ text, path }: NearbyFile): { scripts: Record<string, string>; packageManager: string } {
  let value: { scripts?: unknown; packageManager?: unknown } | null;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CiError('invalid', `Cannot look for scripts in ${quote(path)} as it is no JSON`, { cause });
  }
  const { scripts, packageManager } = value ?? {};
  const entries = typeof scripts === 'object' && scripts !== null ? Object.entries(scripts) : [];
  return {
    scripts: Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string')),
    packageManager: typeof packageManager === 'string' ? packageManager : '',
  };
}

/** The one that package.json names, else the one whose lockfile is nearest, else npm. */
async function managerOf(workspace: Workspace, { folder }: NearbyFile, named: string): Promise<string> {
  const name = named.split('@', 1)[0]!;
  if (MANAGERS.includes(name)) return name;
  for (const above of foldersUpward(folder))
    for (const [lockfile, manager] of Object.entries(LOCKFILES))
      if (await stat(join(workspace.root, above, lockfile)).catch(() => undefined)) return manager;
  return 'npm';
}
