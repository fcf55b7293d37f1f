import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { findLinks } from '../../shared/log-model/links.ts';

function found(line: string): string[] {
  return findLinks(line).map(link =>
    link.kind === 'address'
      ? link.address
      : [link.path, link.line, link.column].filter(part => part !== undefined).join('|'),
  );
}

const lines: [string, string[]][] = [
  ['src/a.ts:3:5: error', ['src/a.ts|3|5']],
  ['src/a.ts(3,5): error TS1: x', ['src/a.ts|3|5']],
  ['    at run (/build/ws/src/b.js:10:20)', ['/build/ws/src/b.js|10|20']],
  ['  File "lib/c.py", line 12, in f', ['lib/c.py|12']],
  ['\tat com.acme.Main(Main.java:7)', ['Main.java|7']],
  [' --> src/main.rs:4:9', ['src/main.rs|4|9']],
  ['see https://example.com/a?b=c. And (http://x.y/z)', ['https://example.com/a?b=c', 'http://x.y/z']],
  ['../up/a.go:1: x', ['../up/a.go|1']],
  ['ratio 3:5, time 12:30:01', []],
  ['version 1.2.3 of a.b', []],
  ['javascript:alert(1)', []],
];

for (const [line, expected] of lines)
  test(`"${line.trim()}" leads to ${expected.join(' and ') || 'nothing'}`, () =>
    assert.deepEqual(found(line), expected));

test('a line made to be slow is searched in no time', () => {
  const started = performance.now();
  for (const part of ['a/', 'a.', 'a:1:', 'http://', '../', 'File "']) findLinks(part.repeat(20_000));
  const noise = (at: number) => createHash('sha512').update(String(at)).digest('base64').replaceAll('=', '');
  const encoded = Array.from({ length: 50 }, (_, at) => noise(at)).join('');
  for (let row = 0; row < 200; row++) findLinks(encoded);
  assert.ok(performance.now() - started < 3000);
});
