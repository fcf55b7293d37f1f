import { join } from 'node:path';
import { isSea } from 'node:sea';
import { CiError, describeError } from '../../shared/errors.ts';
import { startSupervisor } from '../runner/supervisor/start-supervisor.ts';
import { systemChance } from '../system/chance.ts';
import { neverAborted, systemClock } from '../system/clock.ts';
import { retry } from '../system/retry.ts';
import { Attendant } from './attendant.ts';
import { imageSystem } from './image-system.ts';
import { installProgram } from './install-program.ts';
import { dialNode, type NodeLink } from './node-link.ts';
import { NOT_REACHED, type Role } from './pod-messages.ts';
import { TASK_ROOT } from './pod-places.ts';

type Variables = Readonly<Record<string, string | undefined>>;

export interface AttendPodOptions {
  readonly role: string | undefined;
  /** The environment of the container: what its image has, and how to reach the node. */
  readonly variables: Variables;
  /** The argument list that runs this program. */
  readonly program: readonly [string, ...string[]];
}

/** How long a node may not be reached at first, in milliseconds: a pod's network is not always there at once. */
const DIAL_LIMIT_MS = 30_000;

/**
 * The main of a container in a task's pod: it runs what its node tells it to, under a supervisor like that of a machine, until
 * it is told that it has done its part. When the node is gone, it kills everything, and ends.
 */
export async function attendPod({ role, variables, program }: AttendPodOptions): Promise<number> {
  if (role !== 'prepare' && role !== 'task')
    throw new CiError(
      'invalid',
      'Cannot attend a pod as its role is none: prepare or task. Nodes start this by themselves',
    );
  if (role === 'prepare') await installProgram(program, isSea());
  const told = new AbortController();
  process.on('SIGTERM', () => told.abort());
  const link = readLink(variables);
  const control = await reach(link, role).catch((error: unknown) => {
    process.stderr.write(`${describeError(error)}\n`);
    return undefined;
  });
  if (!control) return NOT_REACHED;
  await using supervisor = await startSupervisor({
    command: [...program, 'supervise'],
    root: join(TASK_ROOT, `.${role}`),
    isolation: 'none',
    clock: systemClock,
    onNotice: () => undefined,
  });
  const attendant = new Attendant({ control, link, supervisor, clock: systemClock });
  if (role === 'task') attendant.tellSystem(await imageSystem(variables));
  return (await attendant.run(told.signal)) ? 0 : 1;
}

function readLink({
  SIMPLE_CI_POD_DOOR: door = '',
  SIMPLE_CI_POD_NAME: name,
  SIMPLE_CI_POD_KEY: key,
}: Variables): NodeLink {
  const at = door.lastIndexOf(':');
  if (at < 0 || !name || !key)
    throw new CiError('invalid', 'Cannot attend a pod that no node has made. Nodes start this by themselves');
  return { host: door.slice(0, at), port: Number(door.slice(at + 1)), name, key: Buffer.from(key, 'hex') };
}

function reach(link: NodeLink, role: Role) {
  return retry(() => dialNode(link, { kind: 'control', role }), {
    clock: systemClock,
    chance: systemChance,
    signal: neverAborted,
    isTransient: () => true,
    limitMs: DIAL_LIMIT_MS,
  });
}
