import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTaskLink, taskLinkText } from '../../extension/task-link.ts';

const id = '501m8evenkrn1gvxe9d9jhm8naf';

test('a link to a task comes back as what it was made of', () => {
  const { pathname, search } = new URL(taskLinkText('vscode', { task: id, cluster: 'acme/ci' }));
  assert.deepEqual(parseTaskLink({ path: pathname, query: search.slice(1) }), { task: id, cluster: 'acme/ci' });
});

const wrong: [string, string][] = [
  [`/run/${id}`, 'cluster=x'],
  [`/task/${id}`, ''],
  ['/task/short', 'cluster=x'],
  [`/task/${id}/../x`, 'cluster=x'],
  ['', ''],
];
for (const [path, query] of wrong)
  test(`the link ${path}?${query} opens nothing`, () => assert.throws(() => parseTaskLink({ path, query }), /Cannot/));
