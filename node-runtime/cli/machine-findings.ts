import { rm, stat, statfs, writeFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { describeError } from '../../shared/errors.ts';
import { type CgroupLimits, readCgroupLimits } from '../system/cgroup-limits.ts';
import type { Finding } from '../system/finding.ts';
import { makeFolder } from '../system/make-folder.ts';
import { runProcess } from '../system/subprocess.ts';
import { count, formatBytes } from '../../shared/amounts.ts';
import type { CliContext } from './context.ts';

/** Below this a node is soon in trouble, in bytes. */
const LITTLE_SPACE = 1_000_000_000;
const LITTLE_MEMORY = 500_000_000;
const OLDEST_GIT: readonly [number, number] = [2, 32];
const OLDEST_NODE = 24;

/** From here on, what a node writes for itself is late. */
const SLOW_DISK_MS = 100;
const PROBE_BYTES = 65_536;
const PROBES = 5;
/** Kinds of file systems that are on other machines, as Linux tells them: NFS, SMB, CIFS, and many by FUSE. */
const REMOTE = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x65735546]);
const IN_MEMORY = 0x01021994;

export interface DataFolder {
  readonly path: string;
  /** Whether the state and the bytes of a cluster are in it. */
  readonly holdsCluster: boolean;
}

/** What any use of Simple CI needs of a machine: Node, git, a folder with room, a clock. */
export async function machineFindings(context: CliContext, data: DataFolder): Promise<Finding[]> {
  return [
    nodeFinding(),
    await gitFinding(context),
    limitFinding(await readCgroupLimits()),
    ...(await folderFindings(context, data)),
    clockFinding(context),
  ];
}

function nodeFinding(): Finding {
  const { node } = process.versions;
  const subject = 'Node.js';
  if (Number.parseInt(node, 10) >= OLDEST_NODE) return { level: 'ok', subject, what: node };
  return {
    level: 'problem',
    subject,
    what: `${node} is too old: at least ${OLDEST_NODE} is needed`,
    advice: 'Install a newer one, or use the executable, which brings its own.',
  };
}

function limitFinding({ cpus, memoryBytes }: CgroupLimits): Finding {
  const subject = 'limits';
  const cores = Math.min(cpus ?? Number.POSITIVE_INFINITY, availableParallelism());
  const memory = Math.min(memoryBytes ?? Number.POSITIVE_INFINITY, totalmem());
  const what = `${count(Number(cores.toFixed(1)), 'core')}, ${formatBytes(memory)} of memory`;
  if (memory >= LITTLE_MEMORY) return { level: 'ok', subject, what };
  const advice = 'Give it more: a node takes some 100 MB for itself, and its tasks are in the same limit.';
  return { level: 'warning', subject, what: `Only ${what}`, advice };
}

async function gitFinding({ environment, signal }: CliContext): Promise<Finding> {
  const { PATH = '', HOME = '' } = environment.variables;
  const subject = 'git';
  try {
    const call = { cwd: '/', env: { PATH, HOME }, signal, timeoutMs: 10_000 };
    const { stdout } = await runProcess({ argv: ['git', '--version'], ...call });
    const version = stdout.toString().trim().replace('git version ', '');
    const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(version) ?? [];
    const isOld = Number(major) < OLDEST_GIT[0] || (Number(major) === OLDEST_GIT[0] && Number(minor) < OLDEST_GIT[1]);
    if (!isOld) return { level: 'ok', subject, what: version };
    const advice = `Install git ${OLDEST_GIT.join('.')} or newer.`;
    return { level: 'problem', subject, what: `${version} is too old`, advice };
  } catch {
    signal.throwIfAborted();
    const advice = 'Install it (on Debian: apt-get install git): workspaces travel as git trees.';
    return { level: 'problem', subject, what: 'It cannot be run', advice };
  }
}

async function folderFindings(context: CliContext, data: DataFolder): Promise<Finding[]> {
  const { path } = data;
  try {
    await makeFolder(path, 0o700);
    const ms = await timeWrites(context, path);
    const { bavail, blocks, bsize, type } = await statfs(path);
    return [
      judgePlace(data, (await stat(path)).mode, type),
      judgeSpeed(ms),
      judgeSpace(bavail * bsize, blocks * bsize),
    ];
  } catch (error) {
    const advice = 'Name another one by --data, or give this one to your user.';
    return [{ level: 'problem', subject: 'data', what: `It cannot be written to: ${describeError(error)}`, advice }];
  }
}

/** The median, in milliseconds. */
async function timeWrites({ chance, clock }: CliContext, folder: string): Promise<number> {
  const probe = join(folder, `doctor-${chance.word(8)}`);
  const times: number[] = [];
  try {
    for (let n = 0; n < PROBES; n++) {
      const began = clock.monotonic();
      await writeFile(probe, Buffer.alloc(PROBE_BYTES), { flush: true });
      times.push(clock.monotonic() - began);
    }
  } finally {
    await rm(probe, { force: true });
  }
  return times.sort((a, b) => a - b)[PROBES >> 1]!;
}

function judgePlace({ path, holdsCluster }: DataFolder, mode: number, type: number): Finding {
  const subject = 'data';
  if ((mode & 0o002) !== 0) {
    const what = `Everybody can write to ${path}: tasks could put another store or token there`;
    return { level: 'problem', subject, what, advice: `chmod 711 ${path}` };
  }
  if (holdsCluster && REMOTE.has(type)) {
    const what = `${path} is on a network file system, where a store without etcd can lose its state`;
    return {
      level: 'problem',
      subject,
      what,
      advice: 'Name a folder of this machine by --data, or use --etcd and --s3.',
    };
  }
  if (holdsCluster && type === IN_MEMORY) {
    const what = `${path} is in memory: with the next start of the machine all is gone`;
    return { level: 'warning', subject, what, advice: 'Name a folder on a disk by --data.' };
  }
  return { level: 'ok', subject, what: path };
}

function judgeSpeed(ms: number): Finding {
  const what = `${ms.toFixed(1)} ms to write 64 KiB for good`;
  if (ms < SLOW_DISK_MS) return { level: 'ok', subject: 'disk', what };
  return { level: 'warning', subject: 'disk', what, advice: 'Use a faster disk: check-outs and logs wait for it.' };
}

function judgeSpace(free: number, all: number): Finding {
  const what = `${formatBytes(free)} free of ${formatBytes(all)}`;
  if (free >= LITTLE_SPACE) return { level: 'ok', subject: 'space', what };
  const advice = 'Free some, or name another folder by --data.';
  return { level: 'warning', subject: 'space', what: `Only ${what}`, advice };
}

/** A clock that was never set begins at 1970, or at the day on which the system was built. */
function clockFinding({ clock }: CliContext): Finding {
  const time = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
  const year = Number(time.slice(0, 4));
  if (year >= 2026 && year < 2100) return { level: 'ok', subject: 'clock', what: time };
  const advice = 'Set the clock by NTP: S3 and TLS refuse wrong ones.';
  return { level: 'problem', subject: 'clock', what: `${time} cannot be`, advice };
}
