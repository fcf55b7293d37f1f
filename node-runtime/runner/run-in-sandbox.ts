import { CiError } from '../../shared/errors.ts';
import type { Command, CommandEnd, Sandbox } from './sandbox.ts';

export interface SandboxOutput {
  readonly code: number;
  /** The last 64 KiB of what it printed. */
  readonly output: string;
}

const KEPT_BYTES = 65_536;
const STOP_GRACE_MS = 2000;

/**
 * Runs one of the node's own commands as the task's user. Rejects with the signal's reason when it was stopped, and with
 * `unavailable` when it did not come to an end of its own: that says something about the node, nothing about the task.
 */
export async function runInSandbox(sandbox: Sandbox, command: Command, signal: AbortSignal): Promise<SandboxOutput> {
  signal.throwIfAborted();
  const running = sandbox.run(command);
  const stop = () => running.stop(STOP_GRACE_MS);
  signal.addEventListener('abort', stop, { once: true });
  try {
    let kept = Buffer.alloc(0);
    for await (const bytes of running.output) kept = Buffer.concat([kept, bytes]).subarray(-KEPT_BYTES);
    const end = await running.ended;
    signal.throwIfAborted();
    return { code: codeOf(end, command), output: kept.toString() };
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function codeOf(end: CommandEnd, { argv: [program] }: Command): number {
  switch (end.kind) {
    case 'exited':
      return end.code;
    case 'killed':
      throw new CiError('unavailable', `Cannot prepare the task as ${program} was ended by ${end.signal}`);
    case 'not-started':
      throw new CiError('unavailable', `Cannot prepare the task: ${end.message}`);
    case 'no-folder':
      throw new CiError('unavailable', `Cannot prepare the task as the folder for ${program} does not exist`);
  }
}
