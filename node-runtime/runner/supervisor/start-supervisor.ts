import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { describeError } from '../../../shared/errors.ts';
import { systemChance } from '../../system/chance.ts';
import type { Clock } from '../../system/clock.ts';
import type { Isolation, Supervisor } from '../sandbox.ts';
import { detectIsolation } from './detect-isolation.ts';
import { findRoot } from './find-root.ts';
import { FREEZE_RULES } from './freeze-when-silent.ts';
import { launch } from './launcher.ts';
import { PipePool } from './pipe-pool.ts';
import { RemoteSupervisor, type RemoteSupervisorParts } from './remote-supervisor.ts';
import { makeOwnFolder, removeTree, sweepDeadNodes } from './sandbox-folders.ts';
import { SupervisorChannel } from './supervisor-channel.ts';
import { readSystemFolders } from './system-folders.ts';
import { SYSTEM_PATH } from '../system-path.ts';
import { LOWEST_USER } from './user-block.ts';

/** Tags are from here to twice that: over a year in microseconds, which no program computes without a break. */
const TAGS = 2 ** 45;
const MOST_PROCESSES = 8192;

export interface SupervisorOptions {
  /** The argument list that runs `simple-ci supervise`. */
  readonly command: readonly string[];
  /** Folder for the folders of sandboxes. As root another one is taken when other users cannot get there. */
  readonly root: string;
  readonly isolation: Isolation | 'auto';
  readonly clock: Clock;
  /** Gets one sentence about how tasks are isolated. */
  readonly onNotice: (text: string) => void;
  /** How long after the last acknowledged renewal was sent sandboxes are frozen, in milliseconds. Default: 20 s. */
  readonly freezeAfterMs?: number;
  /** How long they stay so before they are killed, in milliseconds. Default: 10 min. */
  readonly killAfterFrozenMs?: number;
  /** How many processes a task may have at once, where it has a user of its own. */
  readonly mostProcesses?: number;
}

/**
 * Starts the supervisor process of this node, and clears away what dead nodes have left under the same root.
 * @throws CiError when the isolation that was asked for does not work here, or the process cannot be started
 */
export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { clock, isolation, onNotice } = options;
  const ownUsers = process.platform === 'linux' && process.getuid?.() === 0 && isolation !== 'none';
  const root = await findRoot(options.root, ownUsers);
  await sweepDeadNodes(root, clock).catch((error: unknown) =>
    onNotice(`Cannot clear away what a dead node has left: ${describeError(error)}`),
  );
  const tag = TAGS + Math.floor(systemChance.random() * TAGS);
  const folder = await makeOwnFolder(root, tag, ownUsers ? 0o711 : 0o700);
  const results = await Promise.allSettled([
    detect(isolation, folder, ownUsers),
    startProcess(options, { folder, tag, ownUsers }),
  ]);
  const [detected, started] = results;
  if (detected.status === 'fulfilled' && started.status === 'fulfilled') {
    onNotice(detected.value.notice);
    return new RemoteSupervisor({ ...started.value, ...detected.value, folder, clock });
  }
  if (started.status === 'fulfilled') started.value.channel.end();
  await removeTree(folder);
  throw results.flatMap(result => (result.status === 'rejected' ? [result.reason] : []))[0];
}

async function detect(wanted: Isolation | 'auto', folder: string, ownUsers: boolean) {
  const system = await readSystemFolders(join(folder, 'system'));
  const detected = await detectIsolation(wanted, system, ownUsers ? LOWEST_USER : undefined);
  return { ...detected, system };
}

async function startProcess(
  {
    command,
    freezeAfterMs = FREEZE_RULES.freezeAfterMs,
    killAfterFrozenMs = FREEZE_RULES.killAfterFrozenMs,
    mostProcesses = MOST_PROCESSES,
  }: SupervisorOptions,
  { folder, tag, ownUsers }: { folder: string; tag: number; ownUsers: boolean },
): Promise<Pick<RemoteSupervisorParts, 'channel' | 'launcher' | 'pid' | 'pipes' | 'firstUser' | 'tag'>> {
  const [program, ...args] = launch(command, tag, mostProcesses);
  const launcher = spawn(program, args, {
    cwd: '/',
    env: { PATH: SYSTEM_PATH },
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    detached: true,
  });
  launcher.on('error', () => undefined);
  const channel = new SupervisorChannel(launcher.stdio[3] as Duplex);
  const pipes = new PipePool(join(folder, 'pipes'));
  await mkdir(join(folder, 'pipes'), { mode: 0o700 });
  const rules = { freezeAfterMs, killAfterFrozenMs, ownUsers, tag };
  const [begun] = await Promise.all([channel.ask({ kind: 'begin', ...rules }), pipes.fill()]);
  if (begun.kind !== 'begun') throw new Error(`Cannot understand the supervisor's first answer: ${begun.kind}`);
  const { pid, firstUser, isTagged } = begun;
  return { channel, launcher, pipes, pid, firstUser, tag: isTagged ? tag : undefined };
}
