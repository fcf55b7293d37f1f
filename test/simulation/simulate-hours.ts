import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Figures } from './totals.ts';

/** Seeds that one process takes at a time: 10 to 15 s of work, and starting costs one. */
const SEEDS = 50;

/**
 * Simulates from seed 1 on until so many hours have passed, in several processes at once: what comes of it is the same as in one, as
 * seeds are taken together in their order, and no more of them than it takes.
 */
export async function simulateHours(hours: number, parts: number, log: (text: string) => void): Promise<Figures> {
  const done = new Map<number, Figures>();
  let next = 0;
  const total = () => addUp(done, hours);
  const work = async () => {
    while ((total()?.hours ?? 0) < hours) {
      const chunk = next++;
      done.set(chunk, await simulateSeeds(1 + chunk * SEEDS));
      log(`${(total()?.hours ?? 0).toFixed(0)} of ${hours} hours simulated`);
    }
  };
  await Promise.all(Array.from({ length: parts }, work));
  return total()!;
}

/** Those that follow each other without a gap, until there are enough. */
function addUp(done: ReadonlyMap<number, Figures>, hours: number): Figures | undefined {
  let sum = done.get(0);
  for (let chunk = 1; sum && sum.hours < hours && done.has(chunk); chunk++) sum = add(sum, done.get(chunk)!);
  return sum;
}

function add(one: Figures, other: Figures): Figures {
  const both = (of: (figures: Figures) => number) => of(one) + of(other);
  return {
    first: one.first,
    seeds: both(({ seeds }) => seeds),
    hours: both(figures => figures.hours),
    events: both(({ events }) => events),
    tasks: both(({ tasks }) => tasks),
    executions: both(({ executions }) => executions),
    outcomes: addCounts(one.outcomes, other.outcomes),
    acts: addCounts(one.acts, other.acts),
    strikes: addCounts(one.strikes, other.strikes),
    workloads: {
      scaling: both(({ workloads }) => workloads.scaling),
      crowd: both(({ workloads }) => workloads.crowd),
    },
    processorSeconds: both(({ processorSeconds }) => processorSeconds),
    lastHash: other.lastHash,
  };
}

function addCounts(one: Readonly<Record<string, number>>, other: Readonly<Record<string, number>>) {
  const sum = { ...one };
  for (const [name, count] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}

/** @throws with the promise that was broken, and how to repeat it */
function simulateSeeds(first: number): Promise<Figures> {
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  const options = [main, '--seed', String(first), '--seeds', String(SEEDS), '--json'];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, options, { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`Cannot report as a simulation failed: ${stdout}${stderr}`, { cause: error }));
      else resolve(JSON.parse(stdout) as Figures);
    });
  });
}
