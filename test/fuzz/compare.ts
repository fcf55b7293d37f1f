// `node scripts/run.mjs test/fuzz/compare.ts [TIMES]`: what looking at branches is good for. Writes the table of README.md.
// Each target is tried with as many inputs in both ways, TIMES (4) as many as in `npm test`, and with the same seed.
import { followBranches, ReachedBranches } from './branches.ts';
import type { FuzzTarget, Outcome } from './fuzz-target.ts';

followBranches();
const { TARGETS } = await import('./targets.ts');

const SEED = 1;
const times = Number(process.argv[2] ?? 4);

interface Measured extends Outcome {
  /** Of the processor's time. */
  readonly seconds: number;
}

console.log(
  '| part | inputs | branches, each drawn anew | branches, guided | inputs/s, each drawn anew | inputs/s, guided |',
);
console.log('| --- | --: | --: | --: | --: | --: |');
const guided = TARGETS.filter(({ name }) => name.endsWith(' (guided)'));
for (const [part = '', targets = []] of Object.entries(Object.groupBy(guided, ({ name }) => name.split(':')[0]!))) {
  const ways: Measured[][] = [[], []];
  for (const target of targets) {
    const plain = TARGETS.find(({ name }) => `${name} (guided)` === target.name)!;
    await warmUp(plain);
    for (const [at, way] of [plain, target].entries()) ways[at]!.push(await measure(way));
  }
  const inputs = sum(ways[0]!.map(one => one.inputs));
  const branches = ways.map(way => way.reduce((all, { reached }) => all.add(reached), new ReachedBranches()).count);
  const rates = ways.map(way => (sum(way.map(one => one.inputs)) / sum(way.map(one => one.seconds))).toFixed(0));
  console.log(`| ${[part, inputs, ...branches, ...rates].join(' | ')} |`);
}

/** What is done only once in a process, such as to make a schema ready, is neither's merit. */
async function warmUp(target: FuzzTarget): Promise<void> {
  await using fuzzing = await target.start();
  await fuzzing.check({ seed: SEED + 1, inputs: target.runs });
}

async function measure(target: FuzzTarget): Promise<Measured> {
  await using fuzzing = await target.start();
  const before = process.cpuUsage();
  const outcome = await fuzzing.check({ seed: SEED, inputs: target.runs * times });
  const { user, system } = process.cpuUsage(before);
  if (outcome.failure) throw new Error(`Cannot compare as this has failed: ${target.name}`);
  return { ...outcome, seconds: (user + system) / 1e6 };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}
