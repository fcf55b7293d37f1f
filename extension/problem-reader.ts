import * as l10n from '@vscode/l10n';
import type { LogEvent } from '../shared/log.ts';
import { LineReader } from '../shared/log-model/line-reader.ts';
import { MatcherScanner } from './matcher-scanner.ts';
import type { ProblemMatcher } from './problem-matcher.ts';
import { type Problem, ProblemScanner } from './problem-scanner.ts';

/** Reads the log of one attempt, and finds what is wrong with the code: in the ways that are known, and in those that others have described. */
export class ProblemReader {
  readonly #lines = new LineReader();
  readonly #known = new ProblemScanner();
  readonly #described: MatcherScanner;

  constructor(matchers: readonly ProblemMatcher[], onGivenUp: (why: string) => void) {
    this.#described = new MatcherScanner(matchers, ({ name }) =>
      onGivenUp(l10n.t`Stopped using ${name} as one of its regular expressions takes too long on a line of the log`),
    );
  }

  read(event: LogEvent): Problem[] {
    const lines = this.#lines
      .read([event])
      .flatMap(line => (line.kind === 'output' && line.isWhole ? [line.text] : []));
    const known = lines.flatMap(line => this.#known.push(line));
    const described = this.#described.push(lines);
    return [...known, ...described.filter(problem => !known.some(other => isSame(problem, other)))];
  }
}

/** What both have found is told once. */
function isSame(a: Problem, b: Problem): boolean {
  return a.path === b.path && a.line === b.line && a.column === b.column;
}
