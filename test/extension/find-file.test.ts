import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filePlaces } from '../../extension/find-file.ts';

const cases: [string, string[]][] = [
  ['src/a.ts', ['src/a.ts']],
  ['./src/a.ts', ['src/a.ts']],
  [
    '/var/lib/ci/ws/src/a.ts',
    ['var/lib/ci/ws/src/a.ts', 'lib/ci/ws/src/a.ts', 'ci/ws/src/a.ts', 'ws/src/a.ts', 'src/a.ts', 'a.ts'],
  ],
  ['../../../etc/passwd', ['etc/passwd']],
  ['a/../../b.ts', ['b.ts']],
];

for (const [path, places] of cases)
  test(`${path} is looked for in the workspace and nowhere else`, () => assert.deepEqual(filePlaces(path), places));
