import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTaskLink, taskLinkText } from '../../extension/task-link.ts';

const id = '501m8evenkrn1gvxe9d9jhm8naf';

test('a link to a task comes back as what it was made of', () => {
  const { pathname, search } = new URL(taskLinkText('vscode', { task: id, cluster: 'acme/ci' }));
  assert.deepEqual(parseTaskLink({ path: pathname, query: search.slice(1) }), { task: id, cluster: 'acme/ci' });
});

test('a link to a line names the attempt and the first byte of the line', () => {
  const line = { attempt: 2, offset: 4711 };
  const text = taskLinkText('vscode', { task: id, cluster: 'acme/ci', line });
  assert.equal(text, `vscode://simple-ci.simple-ci/task/${id}?cluster=acme%2Fci&attempt=2&byte=4711`);
  const { pathname, search } = new URL(text);
  assert.deepEqual(parseTaskLink({ path: pathname, query: search.slice(1) }), { task: id, cluster: 'acme/ci', line });
});

const wrong: [string, string][] = [
  [`/run/${id}`, 'cluster=x'],
  [`/task/${id}`, ''],
  ['/task/short', 'cluster=x'],
  [`/task/${id}/../x`, 'cluster=x'],
  ['', ''],
  [`/task/${id}`, 'cluster=x&attempt=1'],
  [`/task/${id}`, 'cluster=x&byte=1'],
  [`/task/${id}`, 'cluster=x&attempt=0&byte=1'],
  [`/task/${id}`, 'cluster=x&attempt=1&byte=-1'],
  [`/task/${id}`, 'cluster=x&attempt=1&byte=1e3'],
  [`/task/${id}`, 'cluster=x&attempt=1&byte=99999999999999999999'],
];
for (const [path, query] of wrong)
  test(`the link ${path}?${query} opens nothing`, () => assert.throws(() => parseTaskLink({ path, query }), /Cannot/));
