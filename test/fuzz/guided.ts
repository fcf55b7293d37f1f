import fc from 'fast-check';
import { Draw } from '../faults/draw.ts';
import { ReachedBranches } from './branches.ts';
import { type Choice, ChosenRandom, chanceOf, choicesAsText, choicesFromText, generate, simplest } from './choices.ts';
import type { Budget, Failure, Outcome, Property } from './fuzz-target.ts';
import { mutated } from './mutate-choices.ts';

/** How often an input is drawn anew, so that what was kept does not decide everything. */
const FRESH = 0.2;
/** How much is done to make a failure smaller. */
const MOST_TRIES = 3000;

/**
 * Looks for an input that does not hold. Those that enter branches which none before has are kept, and changed a little again and again.
 * @param isKept other ways to choose what is kept, for comparison
 */
export async function fuzzGuided(
  property: Property,
  { seed, inputs = Number.POSITIVE_INFINITY, ms = Number.POSITIVE_INFINITY, path }: Budget,
  isKept = (isNew: boolean) => isNew,
): Promise<Outcome> {
  const reached = new ReachedBranches();
  if (path !== undefined) return outcome(1, reached, await repeated(property, choicesFromText(path)));
  const draw = new Draw(`${seed}`);
  const corpus: (readonly Choice[])[] = [];
  const until = performance.now() + ms;
  let words: (string | number)[] = [];
  let done = 0;
  while (done < inputs && performance.now() < until) {
    const isFresh = corpus.length === 0 || draw.number() < FRESH;
    const given = isFresh ? [] : mutated(later(corpus, draw), { draw, corpus, words });
    reached.begin();
    const tried = await attempt(property, new ChosenRandom(given, chanceOf(draw)));
    done++;
    if (tried.error) return outcome(done, reached, await smallest(property, tried, tried.error));
    if (!isKept(reached.end())) continue;
    corpus.push(tried.made);
    words = reached.words();
  }
  return outcome(done, reached);
}

function outcome(inputs: number, reached: ReachedBranches, failure?: Failure): Outcome {
  return { inputs, reached, ...(failure && { failure }) };
}

/** What was kept later reaches further, mostly. */
function later<T>(list: readonly T[], draw: Draw): T {
  return list[Math.max(draw.whole(0, list.length - 1), draw.whole(0, list.length - 1))]!;
}

interface Attempt {
  readonly made: readonly Choice[];
  readonly value: fc.Value<unknown>;
  /** Why it does not hold. */
  readonly error?: Reason;
}

interface Reason {
  readonly error: unknown;
}

async function attempt(property: Property, random: ChosenRandom): Promise<Attempt> {
  const value = generate(property, random);
  const error = await errorOf(property, value);
  return { made: random.made, value, ...(error && { error }) };
}

async function errorOf(property: Property, value: fc.Value<unknown>): Promise<Reason | undefined> {
  const result = await property.run(value.value);
  return result === null || fc.PreconditionFailure.isFailure(result) ? undefined : result;
}

/** What has failed, with choices left out and made simpler as long as that fails too. */
async function smallest(property: Property, { made, value }: Attempt, { error }: Reason): Promise<Failure> {
  const asItWas = made.map(choice => choice.value);
  let values = asItWas;
  let tries = 0;
  const fails = async (simpler: readonly number[]) => {
    if (tries++ >= MOST_TRIES) return false;
    const { error } = await attempt(property, new ChosenRandom(simpler, simplest()));
    if (error) values = [...simpler];
    return error !== undefined;
  };
  for (let size = values.length; size >= 1; size = Math.floor(size / 2))
    for (let at = values.length - size; at >= 0; at = Math.min(at, values.length) - size)
      await fails(values.toSpliced(at, size));
  for (let at = 0; at < values.length; at++) if (values[at] !== 0) await fails(values.with(at, 0));
  return (await repeated(property, values)) ?? { input: value.value, error, path: choicesAsText(asItWas) };
}

/** The failure that these choices make, in the smallest form that fast-check finds. */
async function repeated(property: Property, values: readonly number[]): Promise<Failure | undefined> {
  let { value, error } = await attempt(property, new ChosenRandom(values, simplest()));
  if (!error) return undefined;
  for (let tries = 0, isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const simpler of property.shrink(value)) {
      if (tries++ >= MOST_TRIES) break;
      const same = await errorOf(property, simpler);
      if (!same) continue;
      [value, error, isSmaller] = [simpler, same, true];
      break;
    }
  }
  return { input: value.value, error: error.error, path: choicesAsText(values) };
}
