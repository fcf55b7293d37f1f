import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Mutant } from './mutants.ts';

/** Within so many seeds a mistake must show. */
export const SEEDS_PER_MUTANT = 150;

export interface Catch {
  readonly seed: number;
  readonly invariant: string;
}

/** Simulates with a mistake in the product until a promise is broken; undefined when no seed shows it. */
export async function catchMutant({ name }: Mutant): Promise<Catch | undefined> {
  return firstFailure(['--mutant', name, '--seeds', String(SEEDS_PER_MUTANT)]);
}

/** The same seed under the same faults without the mistake: what is broken then is not the mistake's doing. */
export async function withoutMistake({ acts, workload }: Mutant, seed: number): Promise<Catch | undefined> {
  return firstFailure([
    '--seed',
    String(seed),
    ...(acts ? ['--acts', acts.join()] : []),
    ...(workload ? ['--workload', workload] : []),
  ]);
}

/** In a process of its own, as each has other sources. */
function firstFailure(options: readonly string[]): Promise<Catch | undefined> {
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [main, '--whole', ...options], (error, stdout, stderr) => {
      const [, seed, invariant] = /^Seed (\d+) breaks (.+?): /m.exec(stdout) ?? [];
      if (seed !== undefined && invariant !== undefined) resolve({ seed: Number(seed), invariant });
      else if (error) reject(new Error(`Cannot simulate with ${options.join(' ')}: ${stderr}`, { cause: error }));
      else resolve(undefined);
    });
  });
}
