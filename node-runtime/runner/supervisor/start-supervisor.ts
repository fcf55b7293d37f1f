import { spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { systemChance } from '../../system/chance.ts';
import type { Clock } from '../../system/clock.ts';
import type { Isolation, Supervisor } from '../sandbox.ts';
import { FREEZE_RULES } from './freeze-when-silent.ts';
import { launch } from './launcher.ts';
import { RemoteSupervisor } from './remote-supervisor.ts';
import { SupervisorChannel } from './supervisor-channel.ts';
import { SYSTEM_PATH } from '../system-path.ts';

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
 * Starts the supervisor process of this node, which clears away what dead nodes have left under the same root. All of that is
 * done by the process itself: the node loads its other parts meanwhile.
 * @throws CiError when the isolation that was asked for does not work here, or the process cannot be started
 */
export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { clock, isolation, onNotice } = options;
  const ownUsers = process.platform === 'linux' && process.getuid?.() === 0 && isolation !== 'none';
  const tag = TAGS + Math.floor(systemChance.random() * TAGS);
  const { launcher, channel } = startProcess(options, tag);
  try {
    const { freezeAfterMs = FREEZE_RULES.freezeAfterMs, killAfterFrozenMs = FREEZE_RULES.killAfterFrozenMs } = options;
    const wanted = { node: process.pid, root: options.root, isolation, ownUsers, tag };
    const begun = await channel.ask({ kind: 'begin', freezeAfterMs, killAfterFrozenMs, place: wanted });
    if (begun.kind !== 'begun') throw new Error(`Cannot understand the supervisor's first answer: ${begun.kind}`);
    const { pid, firstUser, isTagged, place } = begun;
    for (const notice of [...place.warnings, place.detected.notice]) onNotice(notice);
    return new RemoteSupervisor({ channel, launcher, pid, firstUser, tag: isTagged ? tag : undefined, place, clock });
  } catch (error) {
    channel.end();
    throw error;
  }
}

function startProcess({ command, mostProcesses = MOST_PROCESSES }: SupervisorOptions, tag: number) {
  const [program, ...args] = launch(command, tag, mostProcesses);
  const launcher = spawn(program, args, {
    cwd: '/',
    env: { PATH: SYSTEM_PATH },
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    detached: true,
  });
  launcher.on('error', () => undefined); // Its channel closes then.
  return { launcher, channel: new SupervisorChannel(launcher.stdio[3] as Duplex) };
}
