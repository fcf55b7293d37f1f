import fc from 'fast-check';
import { ReachedBranches } from './branches.ts';
import { fuzzGuided } from './guided.ts';

/** Something that takes what others send, and what must hold whatever that is. */
export interface FuzzTarget {
  /** The part, then the promise: `keys: no key of a cluster lies in a folder of another`. */
  readonly name: string;
  /** How many inputs it gets in `npm test`. */
  readonly runs: number;
  /** Starts what the target needs. */
  start(): Promise<Fuzzing>;
}

export interface Fuzzing extends AsyncDisposable {
  check(budget: Budget): Promise<Outcome>;
}

/** How much is tried: so many inputs or for so long, or the one input that a failure has named. */
export interface Budget {
  readonly seed: number;
  readonly inputs?: number;
  readonly ms?: number;
  readonly path?: string;
}

export interface Outcome {
  readonly inputs: number;
  /** The product's branches that were entered, if it was loaded to count them. */
  readonly reached: ReachedBranches;
  readonly failure?: Failure;
}

export interface Failure {
  readonly input: unknown;
  readonly error: unknown;
  /** With the seed, what makes the input again. */
  readonly path: string;
}

export type Property = fc.IRawProperty<unknown>;

/** A target that needs nothing but the property itself: it is tried with inputs drawn each for itself, and with inputs that grow out of others. */
export function pure<T>(name: string, runs: number, property: fc.IRawProperty<T>): FuzzTarget[] {
  return [
    { name, runs, start: async () => fuzzing(property, async () => undefined) },
    {
      name: `${name} (guided)`,
      runs,
      start: async () => ({
        check: budget => fuzzGuided(property as Property, budget),
        [Symbol.asyncDispose]: async () => undefined,
      }),
    },
  ];
}

/** @param end ends what the property stands on */
export function fuzzing<T>(property: fc.IRawProperty<T>, end: () => Promise<unknown>): Fuzzing {
  return {
    check: budget => fuzzUnguided(property as Property, budget),
    [Symbol.asyncDispose]: async () => void (await end()),
  };
}

async function fuzzUnguided(property: Property, { seed, inputs, ms, path }: Budget): Promise<Outcome> {
  const reached = new ReachedBranches();
  reached.begin();
  const { failed, ...details } = await fc.check(property, {
    seed,
    numRuns: inputs ?? Number.MAX_SAFE_INTEGER,
    ...(ms !== undefined && { interruptAfterTimeLimit: ms }),
    ...(path !== undefined && { path, endOnFailure: true }),
  });
  const { counterexample, errorInstance, counterexamplePath, numRuns } = details;
  reached.end();
  const counts = { inputs: numRuns, reached };
  // Without an input, the time was over before the first.
  if (!failed || counterexample === null) return counts;
  return { ...counts, failure: { input: counterexample, error: errorInstance, path: counterexamplePath ?? '' } };
}

/** Of a large input only the beginning is printed: the command makes it again. */
const LONGEST_INPUT = 2000;

/** What somebody needs to know of a failure, with the one command that repeats it. */
export function describeFailure({ name }: FuzzTarget, { input, error, path }: Failure, seed: number): string {
  const said = fc.stringify(input);
  return [
    `${name}: failed`,
    `Input: ${said.length > LONGEST_INPUT ? `${said.slice(0, LONGEST_INPUT)}…` : said}`,
    error instanceof Error ? error.stack : String(error),
    `To repeat: npm run fuzz -- --seed ${seed} --path "${path}" "${name}"`,
  ].join('\n');
}
