import type { Step } from './task.ts';

/** What a step is called: its name, else the first line of its command. */
export function stepName({ name, run }: Step): string {
  const line = name ?? run.trim().split('\n')[0] ?? '';
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}
