import type { Command, CommandEnd, Sandbox } from './sandbox.ts';

export interface SandboxOutput {
  /** 127 for a program that could not be started, 128 and more for one that was killed. */
  readonly code: number;
  /** The last 64 KiB of what it printed. */
  readonly output: string;
}

const KEPT_BYTES = 65_536;
const STOP_GRACE_MS = 2000;

/** Runs one of the node's own commands as the task's user. Rejects with the signal's reason when it was stopped. */
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
    return { code: codeOf(end), output: end.kind === 'not-started' ? end.message : kept.toString() };
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function codeOf(end: CommandEnd): number {
  switch (end.kind) {
    case 'exited':
      return end.code;
    case 'killed':
      return 137;
    case 'not-started':
      return 127;
  }
}
