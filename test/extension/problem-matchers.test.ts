import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findMatchers } from '../../extension/find-matchers.ts';
import { MatcherScanner } from '../../extension/matcher-scanner.ts';
import { type NamedMatchers, parseMatcher } from '../../extension/parse-matcher.ts';
import { ProblemReader } from '../../extension/problem-reader.ts';

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: so VS Code writes its variables.
/** As the extension of VS Code for TypeScript contributes it. */
const NAMED: NamedMatchers = {
  matchers: new Map<string, unknown>([
    ['tsc', { name: 'tsc', owner: 'typescript', source: 'ts', fileLocation: ['relative', '${cwd}'], pattern: '$tsc' }],
    ['round', { base: '$round' }],
  ]),
  patterns: new Map<string, unknown>([
    [
      'tsc',
      {
        regexp: '^(.*)\\((\\d+),(\\d+)\\): (error) (TS\\d+): (.*)$',
        file: 1,
        line: 2,
        column: 3,
        severity: 4,
        code: 5,
        message: 6,
      },
    ],
    ['loop', '$loop'],
    [
      'two',
      [
        { regexp: '^in (.*)$', file: 1 },
        { regexp: '^at (\\d+): (.*)$', line: 1, message: 2 },
      ],
    ],
  ]),
};
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: so VS Code writes its variables.
const parse = (value: unknown) => parseMatcher(value, 'problem matcher 1', NAMED);

/** `path:line:column severity source message` for each problem. */
function scan(matcher: unknown, log: string): string[] {
  const scanner = new MatcherScanner([parse(matcher)], ({ name }) => assert.fail(name));
  return scanner
    .push(log.split('\n'))
    .map(
      ({ path, line, column, severity, source, message }) =>
        `${path}:${line}:${column} ${severity} ${source} ${message}`,
    );
}

describe('problem matchers in the format of VS Code', () => {
  const LINT = {
    owner: 'lint',
    severity: 'warning',
    pattern: { regexp: '^LINT (\\S+) (\\d+):(\\d+) (.*)$', file: 1, line: 2, column: 3, message: 4 },
  };

  test('find a message in a line, whatever its colours', () => {
    assert.deepEqual(scan(LINT, 'x\n\u001b[31mLINT\u001b[0m src/a.x 3:5 too odd\nLINT'), [
      'src/a.x:3:5 warning lint too odd',
    ]);
  });

  test('are known by a name that an extension gives them, and can be changed in part', () => {
    const line = 'src/a.ts(3,5): error TS1: wrong';
    assert.deepEqual(scan('$tsc', line), ['src/a.ts:3:5 error ts wrong']);
    assert.deepEqual(scan({ base: '$tsc', source: 'mine' }, line), ['src/a.ts:3:5 error mine wrong']);
  });

  test('find a message over several lines, and many under one heading', () => {
    const pattern = [
      { regexp: '^FILE (.*)$', file: 1 },
      { regexp: '^ (\\d+):(\\d+) (\\w+) (.*)$', line: 1, column: 2, severity: 3, message: 4, loop: true },
    ];
    assert.deepEqual(scan({ pattern, source: 's' }, 'FILE a.x\n 1:2 error one\n 3:4 note two\nend\n 5:6 error three'), [
      'a.x:1:2 error s one',
      'a.x:3:4 information s two',
    ]);
    assert.deepEqual(scan({ pattern: '$two', source: 's' }, 'in a.x\nat 7: why\nat 8: no'), ['a.x:7:1 error s why']);
  });

  test('read a place from one group, and a whole file without a place', () => {
    const located = { source: 's', pattern: { regexp: '^(.*)\\((.*)\\): (.*)$', file: 1, location: 2, message: 3 } };
    assert.deepEqual(scan(located, 'a.x(3,4,3,9): m'), ['a.x:3:4 error s m']);
    assert.deepEqual(scan(located, 'a.x(3,0x): m'), ['a.x:3:1 error s m']);
    assert.deepEqual(scan(located, 'a.x(none): m'), []);
    const whole = { source: 's', pattern: { regexp: '^BAD (.*)$', kind: 'file', file: 1, message: 0 } };
    assert.deepEqual(scan(whole, 'BAD a.x'), ['a.x:1:1 error s BAD a.x']);
  });

  test('tell where a message ends, and from which folder its path is counted', () => {
    const matcher = parse({
      // biome-ignore lint/suspicious/noTemplateCurlyInString: so VS Code writes its variables.
      fileLocation: ['relative', '${workspaceFolder}/app'],
      pattern: { regexp: '^(.*):(\\d+):(\\d+)-(\\d+) (.*)$', file: 1, line: 2, column: 3, endColumn: 4, message: 5 },
    });
    const [problem] = new MatcherScanner([matcher], () => undefined).push(['a.x:3:5-9 m']);
    assert.deepEqual([problem?.end, problem?.folders], [{ line: 3, column: 9 }, ['app']]);
  });

  const wrong: [string, unknown, string][] = [
    ['no object', 7, 'Cannot use problem matcher 1 as it must be a map: 7'],
    [
      'a name that nobody gave',
      '$nix',
      'Cannot use problem matcher 1 as no extension that is installed has it: "$nix"',
    ],
    ['nothing to match', {}, 'Cannot use problem matcher 1 as it has no pattern'],
    ['a pattern that is itself', { pattern: '$loop' }, 'Cannot use problem matcher 1 as it is made of itself'],
    ['a base that is itself', '$round', 'Cannot use problem matcher 1 as it is made of itself'],
    [
      'a severity of its own',
      { severity: 'bad' },
      'Cannot use problem matcher 1 as severity must be one of "error", "warning", "info": "bad"',
    ],
    [
      'a group that is no number',
      { pattern: [{ regexp: 'x', file: 'one' }] },
      'Cannot use problem matcher 1 as pattern.0.file must be a number: "one"',
    ],
    [
      'an expression that is none',
      { pattern: { regexp: '(' } },
      'Cannot use problem matcher 1 as regular expression 1 is none: Invalid regular expression: /(/: Unterminated group',
    ],
    [
      'no place',
      { pattern: [{ regexp: 'x', message: 0 }, { regexp: 'y' }] },
      'Cannot use problem matcher 1 as no pattern has a group for file, line or location',
    ],
    [
      'a loop that is not the last',
      { pattern: [{ regexp: 'x', file: 0, line: 0, message: 0, loop: true }, { regexp: 'y' }] },
      'Cannot use problem matcher 1 as only its last pattern may be a loop',
    ],
  ];
  for (const [what, value, message] of wrong)
    test(`with ${what} are refused`, () => assert.throws(() => parse(value), { message }));

  test('come from the settings and from the task in tasks.json; what cannot be used is told, what is understood anyway is not', () => {
    const tasks = [
      { label: 'lint', problemMatcher: [{ base: '$tsc' }, '$gcc', '$nix'] },
      { label: 'lint', type: 'simple-ci', problemMatcher: LINT },
      { label: 'other', problemMatcher: '$nix' },
      { label: 'bare' },
    ];
    const find = (name: string) =>
      findMatchers(name, {
        settings: ['$msCompile'],
        tasks,
        problemMatcher: LINT,
        matchers: [...NAMED.matchers.values()],
        patterns: [{ ...(NAMED.patterns.get('tsc') as object), name: 'tsc' }, 7],
      });
    const lint = find('lint');
    assert.deepEqual(
      lint.matchers.map(({ source }) => source),
      ['msCompile', 'ts'],
    );
    assert.deepEqual(lint.wrong, [
      'Cannot use problem matcher 3 of task "lint" in .vscode/tasks.json as no extension that is installed has it: "$nix"',
    ]);
    assert.deepEqual(
      find('bare').matchers.map(({ source }) => source),
      ['msCompile', 'lint'],
    );
    assert.deepEqual(
      find('none').matchers.map(({ source }) => source),
      ['msCompile'],
    );
    const line = 'src\\App.cs(12,5): error CS1002: ; expected [App.csproj]';
    const [problem] = new MatcherScanner(find('none').matchers, () => undefined).push([line]);
    assert.deepEqual([problem?.path, problem?.line, problem?.column, problem?.code], ['src\\App.cs', 12, 5, 'CS1002']);
  });

  test('whose expression would take for ever are given up, and the others go on', () => {
    const slow = parse({ pattern: { regexp: '^(a+)+$', file: 1, line: 1, message: 1 } });
    const told: string[] = [];
    const reader = new ProblemReader([slow, parse(LINT)], why => told.push(why));
    const read = (offset: number, text: string) =>
      reader.read({ kind: 'bytes', offset, time: 0, bytes: Buffer.from(text) }).map(({ path }) => path);
    const first = `${'a'.repeat(60)}b\nLINT a.x 1:1 m\n`;
    assert.deepEqual([...read(0, first), ...read(first.length, 'LINT b.x 1:1 m\n')], ['a.x', 'b.x']);
    assert.deepEqual(told, [
      'Stopped using problem matcher 1 as one of its regular expressions takes too long on a line of the log',
    ]);
  });

  test('do not tell again what is understood anyway', () => {
    const reader = new ProblemReader([parse('$tsc')], () => undefined);
    const bytes = Buffer.from('src/a.ts(3,5): error TS1: wrong\n');
    assert.equal(reader.read({ kind: 'bytes', offset: 0, time: 0, bytes }).length, 1);
  });
});
