import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { placesInLine } from '../../extension/places-in-line.ts';
import { WorkspacePaths } from '../../extension/workspace-paths.ts';

const TASK = '501hzzzzzzzzzzzzzzzzzzzzzz';
const ROOT = '/home/me/$&work';

function mapped(pieces: readonly string[], isolation: string, root = ROOT): string {
  const paths = new WorkspacePaths(root);
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

test('in an address a path is written as addresses are', () => {
  const address = mapped([`at file://${OWN}/a.js:1:2`], 'none', '/home/me/my #1 work');
  assert.equal(address, 'at file:///home/me/my%20%231%20work/a.js:1:2');
  assert.equal(mapped([`${OWN}/a.c:1: x`], 'none', '/home/me/my #1 work'), '/home/me/my #1 work/a.c:1: x');
});

test('files of a folder with a space in its name are found in a line of a terminal', () => {
  const line = 'in /my work/src/a.c:3:10, /my work, "/my work/b.c", /my workshop/c and /my work/d.c:7';
  assert.deepEqual(
    placesInLine(line, '/my work').map(({ index, length, ...place }) => [line.slice(index, index + length), place]),
    [
      ['/my work/src/a.c:3:10', { path: '/my work/src/a.c', line: 3, column: 10 }],
      ['/my work/b.c', { path: '/my work/b.c' }],
      ['/my work/d.c:7', { path: '/my work/d.c', line: 7 }],
    ],
  );
});

test('quotes tell where a path begins whose folders on the node have spaces in their names', () => {
  const inside = `/srv/my data/sandboxes/${TASK}-42/workspace`;
  assert.equal(mapped([`in '${inside}/a.c', line 3\n`], 'none'), `in '${ROOT}/a.c', line 3\n`);
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
  const text = `start ${OWN}/a.c:1:1: error\nprogress 10% /\n"${OWN}/b" ${OWN} '/my data/${TASK}-42/workspace/c'`;
  const whole = mapped([text], 'none');
  assert.equal(whole.split(ROOT).length, 5);
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 6 }), cuts => {
      const places = [0, ...cuts.sort((a, b) => a - b), text.length];
      const pieces = places.slice(1).map((to, at) => text.slice(places[at], to));
      assert.equal(mapped(pieces, 'none'), whole);
    }),
  );
});

test('a line made to be slow is looked at in no time', () => {
  const before = process.cpuUsage();
  for (const start of ['"', '']) {
    const text = `${start}${'/a'.repeat(60_000)}\n`;
    assert.equal(mapped([text], 'none'), text);
  }
  assert.ok(process.cpuUsage(before).user < 8_000_000); // Of the processor, however busy the machine is.
});

test('what is no path is not waited for', () => {
  const paths = new WorkspacePaths(ROOT);
  assert.equal(paths.push('Compiling... 10%'), 'Compiling... 10%');
  const long = `/${'x'.repeat(5000)}`;
  assert.equal(paths.push(long), long);
});
