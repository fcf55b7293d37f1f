import fc from 'fast-check';

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
  check(parameters: fc.Parameters<unknown>): Promise<fc.RunDetails<unknown>>;
}

type Property<T> = fc.IRawProperty<T>;

/** A target that needs nothing but the property itself. */
export function pure<T>(name: string, runs: number, property: Property<T>): FuzzTarget {
  return { name, runs, start: async () => fuzzing(property, async () => undefined) };
}

/** @param end ends what the property stands on */
export function fuzzing<T>(property: Property<T>, end: () => Promise<unknown>): Fuzzing {
  return {
    check: async parameters => fc.check(property as Property<unknown>, parameters),
    [Symbol.asyncDispose]: async () => void (await end()),
  };
}

/** Of a large input only the beginning is printed: the command makes it again. */
const LONGEST_INPUT = 2000;

/** What somebody needs to know of a failure, with the one command that repeats it. */
export function describeFailure({ name }: FuzzTarget, details: fc.RunDetails<unknown>): string {
  const { counterexample, counterexamplePath, errorInstance, seed, numRuns } = details;
  const input = fc.stringify(counterexample);
  return [
    `${name}: failed at input ${numRuns}`,
    `Input: ${input.length > LONGEST_INPUT ? `${input.slice(0, LONGEST_INPUT)}…` : input}`,
    errorInstance instanceof Error ? errorInstance.stack : String(errorInstance),
    `To repeat: npm run fuzz -- --seed ${seed} --path "${counterexamplePath}" "${name}"`,
  ].join('\n');
}
