import { plainLine } from '../shared/log-model/ansi.ts';
import { BoundedWork } from './bounded-work.ts';
import { type MatcherState, NOTHING_SEEN, type ProblemMatcher, readLine } from './problem-matcher.ts';
import type { Problem } from './problem-scanner.ts';

/** Lines that are looked through at once. */
const LINES_AT_ONCE = 200;
/** Longer lines are no messages of compilers. Characters. */
const LONGEST_LINE = 2000;

/** Looks through a log with problem matchers that others have written. One that takes too long is given up. */
export class MatcherScanner {
  readonly #onGivenUp: (matcher: ProblemMatcher) => void;
  readonly #bounded = new BoundedWork();
  #states: (readonly [ProblemMatcher, MatcherState])[];

  constructor(matchers: readonly ProblemMatcher[], onGivenUp: (matcher: ProblemMatcher) => void) {
    this.#states = matchers.map(matcher => [matcher, NOTHING_SEEN]);
    this.#onGivenUp = onGivenUp;
  }

  push(lines: readonly string[]): Problem[] {
    if (this.#states.length === 0) return [];
    const plain = lines.map(line => plainLine(line).trimEnd()).filter(({ length }) => length <= LONGEST_LINE);
    const problems: Problem[] = [];
    for (let at = 0; at < plain.length; at += LINES_AT_ONCE)
      problems.push(...this.#some(plain.slice(at, at + LINES_AT_ONCE)));
    return problems;
  }

  #some(lines: readonly string[]): Problem[] {
    const problems: Problem[] = [];
    this.#states = this.#states.flatMap(([matcher, state]) => {
      const read = this.#bounded.do(() => readLines(matcher, state, lines));
      if (!read) {
        this.#onGivenUp(matcher);
        return [];
      }
      problems.push(...read.done.problems);
      return [[matcher, read.done.state] as const];
    });
    return problems;
  }
}

function readLines(matcher: ProblemMatcher, before: MatcherState, lines: readonly string[]) {
  let state = before;
  const problems: Problem[] = [];
  for (const line of lines) {
    const [next, problem] = readLine(matcher, state, line);
    state = next;
    if (problem) problems.push(problem);
  }
  return { state, problems };
}
