import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { CiError } from '../../../shared/errors.ts';
import type { Isolation } from '../sandbox.ts';
import { bubblewrapHolder, type SystemFolders } from './bubblewrap.ts';

export interface Detected {
  readonly isolation: Isolation;
  /** One sentence for the person who starts the node. */
  readonly notice: string;
  /** Path of bubblewrap, when that is it. */
  readonly bubblewrap?: string;
}

const PLACES = ['/usr/bin/bwrap', '/usr/local/bin/bwrap', '/bin/bwrap', '/run/current-system/sw/bin/bwrap'];
const TRIAL_LIMIT_MS = 10_000;

/**
 * The best isolation that this machine allows, found by trying; or whether the one that was asked for works.
 * @throws CiError when what was asked for does not work here
 */
export async function detectIsolation(
  wanted: Isolation | 'auto',
  system: SystemFolders,
  trialUser: number | undefined,
): Promise<Detected> {
  const isRoot = process.getuid?.() === 0 && process.platform === 'linux';
  if (wanted === 'none') return none(isRoot, 'asked for');
  const why = wanted === 'user' ? 'not asked for' : await tryBubblewrap(system, trialUser);
  if (typeof why !== 'string') return why;
  if (wanted === 'bubblewrap') throw new CiError('invalid', `Cannot isolate tasks with bubblewrap as ${why}`);
  if (isRoot) return user(wanted === 'user' ? undefined : why);
  if (wanted === 'user')
    throw new CiError('invalid', 'Cannot run tasks as users of their own as this node does not run as root on Linux');
  return none(isRoot, why);
}

function user(why: string | undefined): Detected {
  const reason = why ? `, as ${why}` : '';
  const notice = `Tasks run as users of their own: they cannot read the node's files or memory, but see the rest of the machine, command lines included${reason}`;
  return { isolation: 'user', notice };
}

function none(isRoot: boolean, why: string): Detected {
  const whom = isRoot ? 'as root, which the node runs as' : 'as the same user as the node';
  const reason = why === 'asked for' ? ' (isolation is "none")' : `, as ${why}`;
  const notice = `Tasks are NOT isolated: they run ${whom}, and can read everything that it can, its credentials included${reason}. Run only what you trust`;
  return { isolation: 'none', notice };
}

/** Runs `true` once in namespaces like those of tasks. Resolves to why that does not work here. */
async function tryBubblewrap(system: SystemFolders, trialUser: number | undefined): Promise<Detected | string> {
  if (process.platform !== 'linux') return 'bubblewrap is for Linux only';
  const program = await findProgram();
  if (!program) return 'bubblewrap is not installed';
  try {
    if (!(await execute(program, ['--help'], undefined)).includes('--pidns')) return 'bubblewrap is older than 0.4';
    await execute(program, [...bubblewrapHolder(system), '--', 'true'], trialUser);
  } catch (error) {
    return `bubblewrap does not work here: ${(error as Error).message.trim().split('\n').at(-1)}`;
  }
  const notice =
    'Tasks run in bubblewrap: they see the system read-only, their own folders and processes, and the network';
  return { isolation: 'bubblewrap', bubblewrap: program, notice };
}

async function findProgram(): Promise<string | undefined> {
  for (const path of PLACES)
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  return undefined;
}

function execute(program: string, args: readonly string[], user: number | undefined): Promise<string> {
  const identity = user === undefined ? {} : { uid: user, gid: user };
  return new Promise((resolve, reject) => {
    execFile(program, args, { ...identity, env: {}, cwd: '/', timeout: TRIAL_LIMIT_MS }, (error, out, text) => {
      if (error) reject(new Error(text || error.message));
      else resolve(out);
    });
  });
}
