import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProblemScanner } from '../../extension/problem-scanner.ts';

/** `path:line:column severity source code message` for each problem. */
function scan(log: string): string[] {
  const scanner = new ProblemScanner();
  return log
    .split('\n')
    .flatMap(line => scanner.push(line))
    .map(
      ({ path, line, column, severity, source, code = '-', message }) =>
        `${path}:${line}:${column} ${severity} ${source} ${code} ${message}`,
    );
}

const tools: [string, string, string[]][] = [
  [
    'gcc',
    "src/a.c: In function 'main':\n\u001b[1msrc/a.c:3:5: \u001b[31merror:\u001b[0m expected ';' [-Wsyntax]",
    ["src/a.c:3:5 error gcc -Wsyntax expected ';'"],
  ],
  [
    'clang',
    'a.cc:1:10: fatal error: file not found\na.cc:2:1: note: here',
    ['a.cc:1:10 error gcc - file not found', 'a.cc:2:1 information gcc - here'],
  ],
  ['tsc', 'src/a.ts(3,5): error TS2322: Type x', ['src/a.ts:3:5 error tsc TS2322 Type x']],
  [
    'tsc with colours',
    '\u001b[96msrc/a.ts\u001b[0m:\u001b[93m3\u001b[0m:\u001b[93m5\u001b[0m - \u001b[91merror\u001b[0m\u001b[90m TS2322: \u001b[0mType x',
    ['src/a.ts:3:5 error tsc TS2322 Type x'],
  ],
  [
    'eslint',
    '\n/ws/src/a.js\n  1:10  error    Missing semicolon  semi\n  2:1   warning  Unexpected console  no-console\n\n✖ 2 problems',
    [
      '/ws/src/a.js:1:10 error eslint semi Missing semicolon',
      '/ws/src/a.js:2:1 warning eslint no-console Unexpected console',
    ],
  ],
  [
    'eslint, compact',
    'src/a.js: line 3, col 5, Error - Missing semicolon. (semi)',
    ['src/a.js:3:5 error eslint semi Missing semicolon.'],
  ],
  ['go', './main.go:7:2: undefined: foo', ['./main.go:7:2 error go - undefined: foo']],
  [
    'go test',
    '--- FAIL: TestX (0.00s)\n    x_test.go:12: got 1, want 2',
    ['x_test.go:12:1 error go test - got 1, want 2'],
  ],
  [
    'go test of what failed, with its subtests and helpers,',
    `--- FAIL: TestX (0.00s)
    x_test.go:5: log of x
    --- FAIL: TestX/b (0.00s)
        x_test.go:7: bad b
        helper.go:3: from a helper
    x_test.go:8: after
FAIL
FAIL\texample.com/mod/pkg\t0.006s
    x_test.go:9: of somebody else`,
    [
      'x_test.go:5:1 error go test - log of x',
      'x_test.go:7:1 error go test - bad b',
      'helper.go:3:1 error go test - from a helper',
      'x_test.go:8:1 error go test - after',
    ],
  ],
  [
    'go test -v before it knows what failed',
    `=== RUN   TestX
    x_test.go:5: log of x
=== RUN   TestX/a
=== PAUSE TestX/a
=== RUN   TestX/b
=== PAUSE TestX/b
=== CONT  TestX/a
    x_test.go:6: fine
=== CONT  TestX/b
    x_test.go:7: bad b
=== NAME  TestX
    x_test.go:8: after
--- FAIL: TestX (0.00s)
    --- PASS: TestX/a (0.00s)
    --- FAIL: TestX/b (0.00s)
=== RUN   TestY
    x_test.go:15: log of y
--- PASS: TestY (0.00s)
FAIL
FAIL\texample.com/mod/pkg\t0.003s`,
    [
      'x_test.go:5:1 error go test - log of x',
      'x_test.go:8:1 error go test - after',
      'x_test.go:7:1 error go test - bad b',
    ],
  ],
  ['go test -bench of a benchmark', '--- BENCH: BenchmarkX-2\n    x_test.go:12: log', []],
  [
    'rustc',
    'error[E0382]: borrow of moved value: `x`\n  --> src/main.rs:4:9\n   |',
    ['src/main.rs:4:9 error rustc E0382 borrow of moved value: `x`'],
  ],
  [
    'Python',
    'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n    f()\n  File "lib/b.py", line 9, in f\n    raise ValueError("no")\nValueError: no',
    ['lib/b.py:9:1 error python - ValueError: no'],
  ],
  ['mypy', 'a.py:3: error: Incompatible types  [assignment]', ['a.py:3:1 error mypy assignment Incompatible types']],
  ['flake8', 'a.py:3:80: E501 line too long', ['a.py:3:80 error flake8 E501 line too long']],
  ['javac', 'src/A.java:5: error: cannot find symbol', ['src/A.java:5:1 error javac - cannot find symbol']],
  [
    'javac, by way of Gradle, twice,',
    "/ws/src/A.java:5: error: ';' expected\n    x\n  ^\n* What went wrong:\n> Compilation failed; see the compiler output below.\n  /ws/src/A.java:5: error: ';' expected",
    ["/ws/src/A.java:5:1 error javac - ';' expected"],
  ],
  [
    'javac, by way of Maven, twice,',
    `[\u001b[1;33mWARNING\u001b[m] /ws/src/A.java:[3,12] found raw type: java.util.List
[INFO] /ws/src/A.java: Some input files use unchecked or unsafe operations.
[\u001b[1;31mERROR\u001b[m] COMPILATION ERROR :
[\u001b[1;31mERROR\u001b[m] /ws/src/A.java:[4,11] incompatible types: java.lang.String cannot be converted to int
[\u001b[1;31mERROR\u001b[m] /ws/src/A.java:[5,-1] error: cannot find symbol
  symbol:   class Bar
[ERROR] Failed to execute goal org.apache.maven.plugins:maven-compiler-plugin:3.11.0:compile (default-compile) on project a: Compilation failure: Compilation failure:
[ERROR] /ws/src/A.java:[4,11] incompatible types: java.lang.String cannot be converted to int
[ERROR] /ws/src/A.java:[5,-1] error: cannot find symbol
[ERROR]   symbol:   class Bar`,
    [
      '/ws/src/A.java:3:12 warning maven - found raw type: java.util.List',
      '/ws/src/A.java:4:11 error maven - incompatible types: java.lang.String cannot be converted to int',
      '/ws/src/A.java:5:1 error maven - cannot find symbol',
    ],
  ],
  ['nothing of the kind', 'PASS 12:30:01: all good\nratio 3:4: fine\nerror: it went wrong', []],
];

for (const [name, log, expected] of tools)
  test(`what ${name} says is understood`, () => assert.deepEqual(scan(log), expected));

test('a line made to be slow is looked at in no time', () => {
  const started = performance.now();
  for (const part of ['a:', 'a/', ' ', 'a(', '1:1: ', '[ERROR] a.a', 'a.java:[1,'])
    scan(part.repeat(1900 / part.length));
  for (let line = 0; line < 4000; line++) scan(`src/a.js\n  1:1  error  x${' '.repeat(1900)}x!`);
  assert.ok(performance.now() - started < 3000);
});
