import { access, constants, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import * as l10n from '@vscode/l10n';
import { CiError } from '../shared/errors.ts';
import { quote } from '../shared/ids.ts';

/** How to call `simple-ci`: what to start, with which words before the command's own, in which environment. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export interface ProgramPlaces {
  /** From the user's settings; empty if not set. */
  readonly setting: string;
  /** The bundle that came with the extension. */
  readonly bundle: string;
  readonly env: NodeJS.ProcessEnv;
  /** Of the process that the extension runs in. */
  readonly execPath: string;
  readonly nodeVersion: string;
  readonly platform: NodeJS.Platform;
}

/** The bundle needs node:sqlite and zstd as this release of Node has them. */
const OLDEST_NODE = 24;

/**
 * The program of the settings, else the one that came with the extension, else the one on the PATH. The one that came along runs
 * on the Node that VS Code runs extensions on, if that is new enough.
 */
export async function findProgram(places: ProgramPlaces): Promise<Program> {
  const { setting, bundle, env, execPath, nodeVersion, platform } = places;
  if (setting !== '') return { command: await checked(setting), args: [], env };
  if (Number(nodeVersion.split('.')[0]) >= OLDEST_NODE && (await isFile(bundle, constants.R_OK)))
    return { command: execPath, args: [bundle], env: { ...env, ELECTRON_RUN_AS_NODE: '1' } };
  const found = await findOnPath(platform === 'win32' ? 'simple-ci.exe' : 'simple-ci', env.PATH ?? '');
  if (found !== undefined) return { command: found, args: [], env };
  throw new CiError(
    'not-found',
    l10n.t`Cannot find the program simple-ci: the one of this extension needs Node.js ${OLDEST_NODE} and VS Code has ${nodeVersion}, and there is none on the PATH. Install it, or name it in the setting simple-ci.programPath`,
  );
}

async function checked(path: string): Promise<string> {
  if (isAbsolute(path) && (await isFile(path, constants.X_OK))) return path;
  throw new CiError(
    'invalid',
    l10n.t(
      'Cannot use the setting simple-ci.programPath as it is not the absolute path of a program: {0}',
      quote(path),
    ),
  );
}

async function findOnPath(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    if (isAbsolute(folder) && (await isFile(join(folder, name), constants.X_OK))) return join(folder, name);
  }
  return undefined;
}

/** A folder may be called as the program is, and anybody may enter it. */
async function isFile(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
