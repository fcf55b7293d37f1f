// Loaded before the program, by `node --import`, into the node and its supervisor: what only a process itself can tell of itself. It
// writes a line into a file beside its own when it gets SIGUSR2; on SIGPWR it collects its garbage before. Nothing of the product knows of it.
import { appendFileSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';
import type { ProbeLine } from './probe-line.ts';

const RESOLUTION_MS = 20;

if (isMainThread) begin();

function begin(): void {
  const role = process.argv[2] === 'supervise' ? 'supervisor' : 'node';
  const file = new URL(`${role}.jsonl`, import.meta.url);
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  let since = performance.eventLoopUtilization();
  const tell = () => {
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    const line: ProbeLine = {
      heapUsed,
      external,
      arrayBuffers,
      delayP99Ms: late(delay.percentile(99)),
      delayMaxMs: late(delay.max),
      busy: performance.eventLoopUtilization(since).utilization,
      resources: counted(process.getActiveResourcesInfo()),
    };
    appendFileSync(file, `${JSON.stringify(line)}\n`);
    delay.reset();
    since = performance.eventLoopUtilization();
  };
  process.on('SIGUSR2', tell);
  process.on('SIGPWR', () => {
    collect();
    tell();
  });
}

/** The histogram holds the time between two looks, of which only what exceeds the wanted one is delay. */
function late(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
}

function collect(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  setFlagsFromString('--no-expose-gc');
}

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
