import { statSync } from 'node:fs';
import type { CommandEnd } from '../sandbox.ts';
import type { CommandPlan } from './messages.ts';

/** What a command can be to blame for besides that it is not there: what its path or its file is. */
const OF_COMMAND: ReadonlySet<unknown> = new Set(['E2BIG', 'ELOOP', 'ENAMETOOLONG', 'ENOEXEC', 'ENOTDIR', 'ETXTBSY']);

const NO_FOLDER: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR']);

/** Why a command could not be started. Throws the error itself where that was not for the command: no memory, no processes. */
export function notStarted({ argv, cwd }: CommandPlan, error: NodeJS.ErrnoException): CommandEnd {
  const attempt = `Cannot start ${JSON.stringify(argv[0])}`;
  if (NO_FOLDER.has(error.code) && !isFolder(cwd)) return { kind: 'no-folder' };
  if (error.code === 'ENOENT') return { kind: 'not-started', message: `${attempt} as there is no such program` };
  if (error.code === 'EACCES') return { kind: 'not-started', message: `${attempt} as it may not be executed` };
  if (OF_COMMAND.has(error.code)) return { kind: 'not-started', message: `${attempt}: ${error.message}` };
  throw error;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
