import type { CommandEnd } from '../sandbox.ts';

/** Signals whose 128 + n is taken for a death by them; 129 and 130 are codes that programs give by themselves. */
const SIGNALS = new Map([
  [131, 'SIGQUIT'],
  [132, 'SIGILL'],
  [134, 'SIGABRT'],
  [135, 'SIGBUS'],
  [136, 'SIGFPE'],
  [137, 'SIGKILL'],
  [139, 'SIGSEGV'],
  [143, 'SIGTERM'],
]);

/**
 * How a command ended, from how its process did. A shell whose own command was killed by signal n gives 128 + n, and so does
 * bubblewrap: nothing more can be told there, so everywhere that code counts as the death that it speaks of.
 */
export function commandEnd(code: number | null, signal: NodeJS.Signals | null, byUs: boolean): CommandEnd {
  const killedBy = signal ?? SIGNALS.get(code ?? 0);
  return killedBy === undefined ? { kind: 'exited', code: code ?? 0 } : { kind: 'killed', signal: killedBy, byUs };
}
