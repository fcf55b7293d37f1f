import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatProblem, parseTaskFile } from '../../shared/task-file.ts';

function tasksOf(text: string, name = 'simple-ci.yaml') {
  const parsed = parseTaskFile(text, { name });
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.problems.map(problem => formatProblem(name, problem)).join('\n'));
  return Object.fromEntries(parsed.tasks);
}

function problemsOf(text: string, name = 'simple-ci.yaml'): string[] {
  const parsed = parseTaskFile(text, { name });
  return parsed.ok ? [] : parsed.problems.map(problem => formatProblem(name, problem));
}

function warningsOf(text: string): string[] {
  const parsed = parseTaskFile(text, { name: 'simple-ci.yaml' });
  return parsed.ok ? parsed.warnings.map(warning => formatProblem('simple-ci.yaml', warning)) : ['not valid'];
}

describe('a task file', () => {
  test('names tasks in every form, and the key is the name', () => {
    const text = `
version: 1
tasks:
  test: npm test
  check:
    - npm ci
    - name: Types
      run: npm run types
  release:
    timeout: 20m
    run: ./release.sh
  long:
    name: The long one
    env: { A: b }
    steps:
      - echo one
      - run: |
          echo two
          echo three
        timeout: 90
`;
    assert.deepEqual(tasksOf(text), {
      test: { name: 'test', steps: [{ run: 'npm test' }] },
      check: { name: 'check', steps: [{ run: 'npm ci' }, { name: 'Types', run: 'npm run types' }] },
      release: { name: 'release', timeout: '20m', steps: [{ run: './release.sh' }] },
      long: {
        name: 'The long one',
        env: { A: 'b' },
        steps: [{ run: 'echo one' }, { run: 'echo two\necho three\n', timeout: 90 }],
      },
    });
  });

  test('may be JSON, and is then read as strictly as JSON', () => {
    assert.deepEqual(tasksOf('{\n\t"tasks": {"test": "npm test"}\n}', 'simple-ci.json'), {
      test: { name: 'test', steps: [{ run: 'npm test' }] },
    });
    assert.match(problemsOf('{"tasks": {"a": "x",}}', 'simple-ci.json')[0]!, /^simple-ci\.json:1:21: is no JSON/);
    assert.match(problemsOf('tasks: {a: x}', 'simple-ci.json')[0]!, /is no JSON/);
    assert.match(problemsOf('', 'simple-ci.json')[0]!, /is no JSON/);
  });

  test('that is no JSON is told where, also by a parser that does not say', () => {
    assert.deepEqual(problemsOf('{\n  "tasks": {\n    "a": [*]\n  }\n}', 'simple-ci.json').slice(0, 1), [
      "simple-ci.json:3:11: is no JSON: Unexpected token '*'",
    ]);
    assert.match(problemsOf('{"tasks": {', 'simple-ci.json')[0]!, /:1:12: is no JSON: Expected property name/);
  });

  test('is told on one line, and without what would steer a terminal', () => {
    assert.deepEqual(problemsOf('f\n', 'simple-ci.json'), [
      "simple-ci.json:1:2: is no JSON: Unexpected token '\\u000a'",
    ]);
    const said = problemsOf('tasks: "\\\u001b"', 'simple-ci.yaml').join();
    assert.match(said, /\\u001b/);
    assert.doesNotMatch(said, /\u001b/);
  });

  test('keeps unknown keys, and asks what was meant', () => {
    const text =
      'tasks:\n  a:\n    timout: 3m\n    run: x\n    x-mine: 1\n  b:\n    - {run: y, shel: sh}\ncolour: red\n';
    assert.deepEqual(warningsOf(text), [
      'simple-ci.yaml:8:1: colour is not known',
      'simple-ci.yaml:3:5: tasks.a.timout is not known, did you mean "timeout"?',
      'simple-ci.yaml:7:16: tasks.b[0].shel is not known, did you mean "shell"?',
    ]);
    assert.equal((tasksOf(text).a as { timout?: string }).timout, '3m');
  });

  test('says where a key of a step belongs that stands beside the steps', () => {
    assert.deepEqual(warningsOf('tasks:\n  a:\n    run: print(1)\n    shell: [python3]\n'), [
      'simple-ci.yaml:4:5: tasks.a.shell is not known here: it belongs into one of its steps',
    ]);
  });
});

describe('a mistake in a task file is told with its line and column', () => {
  const mistakes: readonly [what: string, text: string, problem: RegExp][] = [
    [
      'a wrong type',
      'tasks:\n  a:\n    steps:\n      - run: 3\n',
      /^simple-ci\.yaml:4:14: tasks\.a\.steps\[0\].run must be a string: 3/,
    ],
    ['a wrong type of the only command', 'tasks:\n  a:\n    run: 3\n', /:3:10: tasks\.a\.run must be a string: 3/],
    ['a wrong type in a list', 'tasks:\n  a:\n    - x\n    - run: 3\n', /:4:12: tasks\.a\[1\]\.run must be a string/],
    ['an empty command in a list', 'tasks:\n  a:\n    - x\n    - ""\n', /:4:7: tasks\.a\[1\] must not be empty/],
    ['an empty command', 'tasks:\n  a: ""\n', /:2:6: tasks\.a must not be empty/],
    ['a wrong duration', 'tasks:\n  a: {run: x, timeout: soon}\n', /:2:24: tasks\.a\.timeout /],
    [
      'a duration without end',
      `tasks:\n  a: {run: x, timeout: ${'9'.repeat(400)}h}\n`,
      /:2:24: tasks\.a\.timeout must be a year at most/,
    ],
    [
      'no time at all',
      'tasks:\n  a: {run: x, timeout: 0s}\n',
      /:2:24: tasks\.a\.timeout must be a millisecond at least/,
    ],
    ['no time at all as a number', 'tasks:\n  a: {run: x, idleTimeout: 0}\n', /idleTimeout must be at least 0\.001: 0/],
    [
      'a reserved variable',
      'tasks:\n  a:\n    run: x\n    env:\n      SIMPLE_CI_TASK: x\n',
      /:5:\d+: tasks\.a\.env\.SIMPLE_CI_TASK /,
    ],
    [
      'a path that leaves the workspace',
      'tasks:\n  a:\n    run: x\n    artifacts: [ok, ../x]\n',
      /:4:21: tasks\.a\.artifacts\[1\] must be a path inside/,
    ],
    ['a task without steps', 'tasks:\n  a:\n    timeout: 1m\n', /:3:5: tasks\.a\.steps /],
    ['an empty list of steps', 'tasks:\n  a: []\n', /:2:6: tasks\.a/],
    ['a task that is a number', 'tasks:\n  a: 7\n', /:2:6: tasks\.a must be a command/],
    ['a task that is nothing', 'tasks:\n  a:\n', /: tasks\.a must be a command/],
    ['steps and run at once', 'tasks:\n  a: {run: x, steps: [y]}\n', /:2:12: tasks\.a\.run cannot be set beside steps/],
    ['a source', 'tasks:\n  a: {run: x, source: {type: none}}\n', /tasks\.a\.source cannot be set here/],
    ['a name like an option', 'tasks:\n  --all: x\n', /must have a name without/],
    ['no tasks', 'taks:\n  a: x\n', /:1:1: taks is not known, did you mean "tasks"\?/],
    ['nothing at all', '', /:1:1: must be a map/],
    ['a list', '- a\n', /:1:1: must be a map/],
    ['a newer version', 'version: 2\ntasks: {a: x}\n', /:1:10: version must be 1/],
    [
      'a path that leaves the workspace behind a line break',
      'tasks:\n  a: {run: x, artifacts: ["\\n/../x"]}\n',
      /must be a path inside/,
    ],
    ['a mistake after another one', '  "a": "_",\n   "b": [\n     {\n    }\n  ],\n  }\n}\n', /:7:1: .*flow-map-end/],
    ['a tab', 'tasks:\n\ta: x\n', /:2:1: .*[Tt]ab/],
    ['a quote that never ends', 'tasks:\n  a: "x\n', /cannot be read/],
    ['a key twice', 'tasks:\n  a: x\n  a: y\n', /:3:3: has this key twice: "a"/],
    ['a key twice, deep and quoted', 'tasks:\n  a:\n    run: x\n    "run": y\n', /:4:5: has this key twice: "run"/],
    [
      'a slip, beside what follows from it',
      'tasks:\n  t:\n    stpes: []\n',
      /:3:5: tasks\.t\.stpes is not known, did you mean "steps"\?\n.*tasks\.t\.steps is missing/,
    ],
    ['a variable that is no text', 'tasks:\n  a: {run: x, env: {A: 17}}\n', /env\.A must be a string: 17$/],
    ['two documents', 'tasks: {a: x}\n---\ntasks: {b: y}\n', /cannot be read/],
    ['an alias', 'tasks:\n  a: &x y\n  b: *x\n', /:2:\d+: tasks\.a has an anchor[\s\S]*:3:6: tasks\.b is an alias/],
    ['an alias of nothing', 'tasks: {a: *x}\n', /alias/],
    ['a merge key', 'tasks:\n  a:\n    <<: {run: x}\n', /:3:5: tasks\.a has a key that is not allowed: <</],
    ['__proto__', 'tasks:\n  __proto__: {run: x}\n', /:2:3: tasks has a key that is not allowed: __proto__/],
    ['constructor', 'tasks:\n  a: {run: x, constructor: y}\n', /not allowed: constructor/],
    ['prototype in JSON', '{"tasks": {"a": {"run": "x", "env": {"prototype": "y"}}}}', /not allowed: prototype/],
    ['a custom tag', 'tasks: {a: !!js/function x}\n', /tag/],
    ['a key that is no word', 'tasks:\n  ? [a]\n  : x\n', /has a key that is no word/],
    ['deep nesting by brackets', `tasks: ${'['.repeat(1000)}`, /nested deeper than 32/],
    [
      'deep nesting by lines',
      `tasks:\n${Array.from({ length: 50 }, (_, i) => `${' '.repeat(i + 1)}a:`).join('\n')} x`,
      /nested deeper than 32/,
    ],
    ['too many bytes', `# ${'ü'.repeat(40_000)}\ntasks: {a: x}`, /:1:1: is too large: \d+ bytes, at most 65536/],
  ];
  for (const [what, text, problem] of mistakes) test(what, () => assert.match(problemsOf(text).join('\n'), problem));
});

test('a mistake is told on one line, however much of the file it quotes', () => {
  const problems = problemsOf(`tasks: { a: x } ${'word\nword '.repeat(500)}`);
  for (const problem of problems) assert.match(problem, /^[^\n]{1,300}$/);
  assert.notDeepEqual(problems, []);
});

describe('a task file that is a bomb', () => {
  const laughs = ['a: &a [x, x, x, x, x, x, x, x, x]'];
  for (const [to, from] of ['ba', 'cb', 'dc', 'ed', 'fe', 'gf', 'hg', 'ih'])
    laughs.push(`${to}: &${to} [${Array(9).fill(`*${from}`).join(', ')}]`);
  const bombs = {
    'a billion laughs': laughs.join('\n'),
    'brackets without end': '['.repeat(65_000),
    'braces without end': '{a: '.repeat(16_000),
  };
  for (const [what, text] of Object.entries(bombs))
    test(`is refused without unfolding it: ${what}`, () => assert.notDeepEqual(problemsOf(text), []));
});
