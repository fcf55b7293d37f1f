import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError } from '../../shared/errors.ts';
import type { Finding } from '../system/finding.ts';
import { runProcess } from '../system/subprocess.ts';
import { formatBytes } from '../../shared/amounts.ts';
import type { CliContext } from './context.ts';

/** Below this a node is soon in trouble, in bytes. */
const LITTLE_SPACE = 1_000_000_000;
const OLDEST_GIT: readonly [number, number] = [2, 32];
const OLDEST_NODE = 24;

/** What any use of Simple CI needs of a machine: Node, git, a folder with room, a clock. */
export async function machineFindings(context: CliContext, dataDir: string): Promise<Finding[]> {
  return [nodeFinding(), await gitFinding(context), ...(await folderFindings(context, dataDir)), clockFinding(context)];
}

function nodeFinding(): Finding {
  const { node } = process.versions;
  if (Number.parseInt(node, 10) >= OLDEST_NODE) return { level: 'ok', what: `Node.js ${node}` };
  return {
    level: 'problem',
    what: `Node.js ${node} is too old: at least ${OLDEST_NODE} is needed`,
    advice: 'Install a newer one, or use the executable, which brings its own.',
  };
}

async function gitFinding({ environment, signal }: CliContext): Promise<Finding> {
  const { PATH = '', HOME = '' } = environment.variables;
  try {
    const call = { cwd: '/', env: { PATH, HOME }, signal, timeoutMs: 10_000 };
    const { stdout } = await runProcess({ argv: ['git', '--version'], ...call });
    const version = stdout.toString().trim();
    const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(version) ?? [];
    const isOld = Number(major) < OLDEST_GIT[0] || (Number(major) === OLDEST_GIT[0] && Number(minor) < OLDEST_GIT[1]);
    if (!isOld) return { level: 'ok', what: version };
    return { level: 'problem', what: `${version} is too old`, advice: `Install git ${OLDEST_GIT.join('.')} or newer.` };
  } catch {
    signal.throwIfAborted();
    const advice = 'Install it (on Debian: apt-get install git): workspaces travel as git trees.';
    return { level: 'problem', what: 'git cannot be run', advice };
  }
}

async function folderFindings({ chance }: CliContext, dataDir: string): Promise<Finding[]> {
  const probe = join(dataDir, `doctor-${chance.word(8)}`);
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await writeFile(probe, 'Simple CI looks whether it can write here.\n', { flush: true });
    await rm(probe);
    const { bavail, bsize } = await statfs(dataDir);
    const free = bavail * bsize;
    const writable: Finding = { level: 'ok', what: `The data folder can be written: ${dataDir}` };
    const what = `${formatBytes(free)} are free there`;
    if (free >= LITTLE_SPACE) return [writable, { level: 'ok', what }];
    return [
      writable,
      { level: 'warning', what: `Only ${what}`, advice: 'Free some, or name another folder by --data.' },
    ];
  } catch (error) {
    const what = `The data folder cannot be written: ${describeError(error)}`;
    return [{ level: 'problem', what, advice: 'Name another one by --data, or give this one to your user.' }];
  }
}

/** A clock that was never set begins at 1970, or at the day on which the system was built. */
function clockFinding({ clock }: CliContext): Finding {
  const time = new Date(clock.now()).toISOString();
  const year = Number(time.slice(0, 4));
  if (year >= 2026 && year < 2100) return { level: 'ok', what: `The clock says ${time}` };
  return {
    level: 'problem',
    what: `The clock is wrong: ${time}`,
    advice: 'Set it by NTP: S3 and TLS refuse wrong clocks.',
  };
}
