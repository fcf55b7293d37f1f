import { readdir, readFile } from 'node:fs/promises';

/** A process on this machine that runs a command of a task. */
export interface TaskProcess {
  readonly pid: number;
  readonly task: string;
  readonly fence: number;
}

/** The supervisor that belongs to a node, found below the node's process; undefined while there is none. */
export async function findSupervisor(node: number): Promise<number | undefined> {
  for (const child of await childrenOf(node)) {
    const command = (await read(`/proc/${child}/cmdline`)).split('\0');
    if (command.includes('supervise') && command[0] !== '/bin/sh') return child;
    const below = await findSupervisor(child);
    if (below !== undefined) return below;
  }
  return undefined;
}

/** All processes that were started with the environment of a task of this cluster, in whatever namespace they are. */
export async function findTaskProcesses(cluster: string): Promise<TaskProcess[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map(pid => taskProcess(pid, cluster)));
  return found.filter(process => process !== undefined);
}

async function taskProcess(pid: number, cluster: string): Promise<TaskProcess | undefined> {
  const variables = new Map(
    (await read(`/proc/${pid}/environ`)).split('\0').map(entry => {
      const [name = '', ...value] = entry.split('=');
      return [name, value.join('=')];
    }),
  );
  if (variables.get('SIMPLE_CI_CLUSTER') !== cluster || (await isDead(pid))) return undefined;
  return { pid, task: variables.get('SIMPLE_CI_TASK') ?? '', fence: Number(variables.get('SIMPLE_CI_FENCE')) };
}

/** A zombie is only waiting to be noticed. */
async function isDead(pid: number): Promise<boolean> {
  return /^\d+ \(.*\) [ZX] /s.test(await read(`/proc/${pid}/stat`));
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await read(`/proc/${pid}/task/${pid}/children`);
  return text.split(' ').filter(Boolean).map(Number);
}

/** Of a process that has ended meanwhile: nothing. */
function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
