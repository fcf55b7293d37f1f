import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * What is really held by this process. V8 gives back what nobody refers to in threads of its own, after it has collected: so until
 * it is no less.
 */
export async function heldMemory(): Promise<NodeJS.MemoryUsage> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let least = Number.POSITIVE_INFINITY; ; ) {
    collect();
    await pause(100);
    collect();
    const usage = process.memoryUsage();
    if (usage.arrayBuffers >= least) return usage;
    least = usage.arrayBuffers;
  }
}
