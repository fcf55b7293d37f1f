import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves once the condition holds; fails after a time that only something broken takes. */
export async function until(what: string, condition: () => unknown, limitMs = 60_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Not within ${limitMs / 1000} s: ${what}`);
    await sleep(5);
  }
}
