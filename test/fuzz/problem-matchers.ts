import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseMatcher } from '../../extension/parse-matcher.ts';
import { MATCHER_FIELDS, NOTHING_SEEN, readLine } from '../../extension/problem-matcher.ts';
import { type Problem, ProblemScanner } from '../../extension/problem-scanner.ts';
import { isCiError } from '../../shared/errors.ts';
import { parseLabelSelector } from '../../node-runtime/kubernetes/label-selector.ts';
import { type FuzzTarget, pure } from './fuzz-target.ts';
import { inTime } from './in-time.ts';
import { rawText } from './raw-text.ts';

/** What compilers say, in pieces, some of them so often that an expression could lose its way. */
const words = fc.constantFrom(
  ...['a.ts', 'src/b.py', '/c.java', 'd_test.go', './e.c', '(', ')', ':', ',', '1', '22', ': ', ' - ', '[', ']', '  '],
  ...['error', 'warning', 'note', 'fatal ', 'TS2304', 'E0425', '[E1]', ' --> ', '  File "', '", line ', 'ValueError'],
  ...[
    ': line ',
    ', col ',
    ', Error - ',
    ' (no-x)',
    ' [-Wall]',
    'vet: ',
    '    ',
    '\t',
    ' ',
    'x',
    '\u001b[31m',
    'ä',
    '-',
  ],
);
const parts = fc.oneof(
  { weight: 9, arbitrary: words },
  {
    weight: 1,
    arbitrary: fc.tuple(words, fc.integer({ min: 2, max: 1500 })).map(([word, times]) => word.repeat(times)),
  },
);
const lines = fc.oneof(
  fc.array(parts, { maxLength: 12 }).map(list => list.join('').slice(0, 2000)),
  rawText,
);

const expressions = fc.constantFrom('^(.*):(\\d+): (.*)$', '(a)|(b)', '^\\s+(.*)$', '(', '^(.*)$', '', '(?<x>y)(z)');
const fields = fc.dictionary(fc.constantFrom<string>(...MATCHER_FIELDS), fc.integer({ min: -1, max: 5 }), {
  noNullPrototype: true,
});
const patterns = fc
  .tuple(
    fc.record(
      { regexp: expressions, loop: fc.boolean(), kind: fc.constantFrom('location', 'file', 'x') },
      { requiredKeys: ['regexp'], noNullPrototype: true },
    ),
    fields,
  )
  .map(([pattern, groups]) => ({ ...groups, ...pattern }));
const names = fc.constantFrom('$a', '$b', '$none', 'a', '');
// biome-ignore lint/suspicious/noTemplateCurlyInString: so VS Code writes its variables.
const places = fc.constantFrom('absolute', 'relative', 'search', '${workspaceFolder}/app', '..', 7);
const matchers = fc.record(
  {
    base: names,
    owner: fc.string(),
    source: fc.string(),
    severity: fc.constantFrom('error', 'warning', 'info', 'x'),
    fileLocation: fc.oneof(places, fc.array(places, { maxLength: 3 })),
    pattern: fc.oneof(names, patterns, fc.array(patterns, { maxLength: 3 }), fc.jsonValue()),
  },
  { requiredKeys: [], noNullPrototype: true },
);

export const problemMatcherTargets: readonly FuzzTarget[] = [
  ...pure(
    'problem matchers: whatever is printed, it is read in no time, and what is found has a place',
    500,
    fc.property(fc.array(lines, { maxLength: 5 }), printed => {
      const scanner = new ProblemScanner();
      for (const line of printed) for (const problem of inTime(() => scanner.push(line), line)) checkProblem(problem);
    }),
  ),
  ...pure(
    'problem matchers: whatever is written as one is refused, or finds nothing but places',
    500,
    fc.property(
      fc.oneof(matchers, names, fc.jsonValue()),
      fc.dictionary(fc.constantFrom('a', 'b'), matchers),
      fc.dictionary(fc.constantFrom('a', 'b'), fc.oneof(patterns, fc.array(patterns, { maxLength: 2 }), names)),
      fc.array(lines, { maxLength: 4 }),
      (written, known, knownPatterns, printed) => {
        const named = {
          matchers: new Map(Object.entries(known)),
          patterns: new Map(Object.entries(knownPatterns)),
        };
        const matcher = orRefused(() => parseMatcher(written, 'the matcher', named));
        if (!matcher) return;
        let state = NOTHING_SEEN;
        for (const line of printed) {
          const [next, problem] = readLine(matcher, state, line);
          checkProblem(problem);
          state = next;
          assert.ok(state.lines.length <= matcher.patterns.length);
        }
      },
    ),
  ),
  ...pure(
    'label selectors: one is refused or read, in no time',
    500,
    fc.property(
      fc.oneof(
        rawText,
        fc
          .array(
            fc.oneof(
              fc.constantFrom('a', 'b/c', ' in ', ' notin ', '(', ')', ',', '=', '==', '!=', '!', ' ', '-', '1', '.'),
              fc
                .tuple(fc.constantFrom(',', ' ', 'a', '(', '-', 'a,'), fc.nat(8000))
                .map(([word, times]) => word.repeat(times)),
            ),
            { maxLength: 12 },
          )
          .map(list => list.join('').slice(0, 16_000)),
      ),
      text => {
        const holds = inTime(() => orRefused(() => parseLabelSelector(text)), text);
        if (holds) for (const labels of [{}, { a: '1' }, { 'b/c': '' }]) assert.equal(typeof holds(labels), 'boolean');
      },
    ),
  ),
];

function orRefused<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    assert.ok(isCiError(error, 'invalid'), String(error));
    return undefined;
  }
}

function checkProblem(problem: Problem | undefined): void {
  if (!problem) return;
  assert.ok(problem.path !== '' && problem.message !== '', JSON.stringify(problem));
  for (const { line, column } of [problem, problem.end ?? problem])
    assert.ok(Number.isInteger(line) && line >= 1 && Number.isInteger(column) && column >= 1, JSON.stringify(problem));
}
