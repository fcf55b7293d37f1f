import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { HOLD } from './bubblewrap.ts';
import type { SandboxPlan } from './messages.ts';
import { withOomScore } from './oom-score.ts';

/**
 * The first process in the namespaces of a sandbox, which all its commands join: what one leaves running, the next can see
 * and signal. It dies with the supervisor, whatever kills that, and its death is the death of everything in there.
 */
export class NamespaceHolder {
  readonly users: number;
  readonly processes: number;
  /** Bubblewrap's outer process. */
  readonly #outer: ChildProcess;

  private constructor(outer: ChildProcess, users: number, processes: number) {
    this.#outer = outer;
    this.users = users;
    this.processes = processes;
  }

  /** Rejects with bubblewrap's own words when that does not work. */
  static async start({ bubblewrap, user, folder, oomScore }: SandboxPlan, onPid: (pid: number) => void) {
    if (!bubblewrap) throw new Error('Cannot hold namespaces without bubblewrap');
    const child = withOomScore(oomScore, () =>
      spawn(bubblewrap.program, [...bubblewrap.holder, '--die-with-parent', '--info-fd', '3', '--', ...HOLD], {
        ...(user !== undefined && { uid: user, gid: user }),
        cwd: '/',
        detached: true,
        env: { SIMPLE_CI_SANDBOX: folder },
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      }),
    );
    if (child.pid === undefined) throw new Error(`Cannot start bubblewrap: ${(await once(child, 'error'))[0].message}`);
    onPid(child.pid);
    const inner = await readInnerPid(child);
    const users = openSync(`/proc/${inner}/ns/user`, 'r');
    try {
      return new NamespaceHolder(child, users, openSync(`/proc/${inner}/ns/pid`, 'r'));
    } catch (error) {
      closeSync(users);
      throw error;
    }
  }

  /** Whether anything can still run in there. */
  get isAlive(): boolean {
    return this.#outer.exitCode === null && this.#outer.signalCode === null;
  }

  /** Lets go of the namespaces; they end when nothing runs in them. */
  close(): void {
    closeSync(this.users);
    closeSync(this.processes);
  }
}

/** Resolves when the namespaces are complete: bubblewrap tells the pid before users are mapped in them. */
async function readInnerPid(child: ChildProcess): Promise<string> {
  const [, output, errors, about] = child.stdio as readonly unknown[] as [null, Readable, Readable, Readable];
  const words = readAll(errors);
  const ready = Promise.race([once(output, 'data'), once(output, 'end')]);
  const failed = once(child, 'exit').then(() => '');
  const told = await Promise.race([readAll(about), failed]);
  const inner = told.match(/"child-pid": (\d+)/)?.[1];
  const [word] = (await Promise.race([ready, failed])) as [Buffer?];
  output.resume();
  if (inner === undefined || word === undefined) throw new Error(`Cannot start bubblewrap: ${(await words).trim()}`);
  return inner;
}

/** All text of a stream, or what came before it broke. */
export async function readAll(stream: Readable): Promise<string> {
  let all = '';
  try {
    for await (const bytes of stream) all += bytes;
  } catch {
    return all;
  }
  return all;
}
