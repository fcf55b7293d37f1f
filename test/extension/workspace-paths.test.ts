import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WorkspacePaths } from '../../extension/workspace-paths.ts';

const TASK = '501hzzzzzzzzzzzzzzzzzzzzzz';
const ROOT = '/home/me/$& work';

function mapped(pieces: readonly string[], isolation: string): string {
  const paths = new WorkspacePaths(ROOT);
  paths.begin(TASK, { kind: 'attempt', fence: 42, attempt: 1, node: 'n1', offset: 0 }, isolation);
  return pieces.map(piece => paths.push(piece)).join('') + paths.end();
}

const OWN = `/var/lib/ci/sandboxes/${TASK}-42/workspace`;

test('paths in the workspace of an attempt become those of the user’s files', () => {
  for (const [isolation, inside] of [
    ['bubblewrap', '/workspace'],
    ['pod', '/simple-ci/task/workspace'],
    ['users', OWN],
    ['none', OWN],
  ] as const) {
    assert.equal(mapped([`${inside}/src/a.c:3:1: error: x\n`], isolation), `${ROOT}/src/a.c:3:1: error: x\n`);
    assert.equal(mapped([`at f (file://${inside}/a.js:1:2)`], isolation), `at f (file://${ROOT}/a.js:1:2)`);
    assert.equal(mapped([`cd '${inside}' "${inside}/b"`], isolation), `cd '${ROOT}' "${ROOT}/b"`);
  }
});

test('other paths stay as they are', () => {
  const others = [
    '/workspaces/a',
    '/src/workspace/a',
    './workspace/a',
    'x/workspace',
    '~/workspace',
    '/usr/workspace.c',
  ];
  for (const other of others) assert.equal(mapped([`${other}\n`], 'bubblewrap'), `${other}\n`);
  for (const other of ['/workspace/a', `/x/${TASK}-43/workspace/a`, `${OWN}s/a`, `${OWN}/../home/x`.replace(OWN, '/y')])
    assert.equal(mapped([`${other}\n`], 'none'), `${other}\n`);
});

test('where the output was cut makes no difference', () => {
  const text = `start ${OWN}/a.c:1:1: error\nprogress 10% /\n"${OWN}/b" ${OWN}`;
  const whole = mapped([text], 'none');
  assert.equal(whole.split(ROOT).length, 4);
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 6 }), cuts => {
      const places = [0, ...cuts.sort((a, b) => a - b), text.length];
      const pieces = places.slice(1).map((to, at) => text.slice(places[at], to));
      assert.equal(mapped(pieces, 'none'), whole);
    }),
  );
});

test('what is no path is not waited for', () => {
  const paths = new WorkspacePaths(ROOT);
  assert.equal(paths.push('Compiling... 10%'), 'Compiling... 10%');
  const long = `/${'x'.repeat(5000)}`;
  assert.equal(paths.push(long), long);
});
