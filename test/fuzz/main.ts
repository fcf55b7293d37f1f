// `npm run fuzz -- [options] [NAME…]`: invented and damaged input for everything that takes what others send, for as long as
// wanted. Ends with 1 if something did not hold, with 2 if it was called wrongly.
import { parseArgs } from 'node:util';
import { followBranches } from './branches.ts';
import { describeFailure, type FuzzTarget } from './fuzz-target.ts';

followBranches();
const { TARGETS } = await import('./targets.ts');

const USAGE = `Usage: npm run fuzz -- [options] [NAME…]

  NAME          only targets whose name has NAME in it, such as keys; guided: those that look at which branches are reached
  --minutes M   how long all of it takes (1)
  --seed S      a whole number: what is drawn (a new one)
  --path P      only the input that a failure has named; with --seed and one target
  --list        the targets there are`;

interface Arguments {
  readonly minutes: number;
  readonly seed: number;
  readonly path: string | undefined;
  readonly targets: readonly FuzzTarget[];
  readonly list: boolean;
}

process.exitCode = await main();

async function main(): Promise<number> {
  const given = readArguments();
  if (!given) {
    console.error(USAGE);
    return 2;
  }
  if (given.list) {
    for (const { name } of given.targets) console.log(name);
    return 0;
  }
  console.log(`Seed ${given.seed}: ${given.targets.length} targets in ${given.minutes} min`);
  let failures = 0;
  for (const target of given.targets) if (!(await holds(target, given))) failures++;
  return failures === 0 ? 0 : 1;
}

function readArguments(): Arguments | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        minutes: { type: 'string', default: '1' },
        seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
        path: { type: 'string' },
        list: { type: 'boolean', default: false },
      },
    });
    const { path, list } = values;
    const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
    const targets = TARGETS.filter(
      ({ name }) => positionals.length === 0 || positionals.some(text => isMeant(name, text)),
    );
    const isSensible = minutes > 0 && Number.isSafeInteger(seed) && targets.length > 0 && !(path && targets.length > 1);
    return isSensible ? { minutes, seed, path, targets, list } : undefined;
  } catch {
    return undefined; // An option that there is not.
  }
}

/** A whole name means only itself. */
function isMeant(name: string, text: string): boolean {
  return TARGETS.some(target => target.name === text) ? name === text : name.includes(text);
}

/** Each target has its share of the time. */
async function holds(target: FuzzTarget, { minutes, seed, path, targets }: Arguments): Promise<boolean> {
  const ms = (minutes * 60_000) / targets.length;
  await using fuzzing = await target.start();
  const started = performance.now();
  const { inputs, reached, failure } = await fuzzing.check(path === undefined ? { seed, ms } : { seed, path });
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`${failure ? '✗' : '✓'} ${target.name}: ${inputs} inputs in ${seconds} s, ${reached.count} branches`);
  if (failure) console.log(describeFailure(target, failure, seed));
  return !failure;
}
