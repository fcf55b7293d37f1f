import assert from 'node:assert/strict';
import { test } from 'node:test';
import { taskPlaces } from '../../extension/task-places.ts';

test('every task of a task file is found where it stands', () => {
  const text = 'version: 1\ntasks:\n  test: npm test\n  "odd name":\n    steps:\n      - run: x\n';
  assert.deepEqual(taskPlaces(text), [
    { name: 'test', line: 2 },
    { name: 'odd name', line: 3 },
  ]);
});

test('of JSON too', () => {
  assert.deepEqual(taskPlaces('{\n  "tasks": {\n    "a": "x"\n  }\n}'), [{ name: 'a', line: 2 }]);
});

test('while somebody types, what can be read is found, and nothing throws', () => {
  assert.deepEqual(taskPlaces('tasks:\n  a: x\n  b: [\n'), [
    { name: 'a', line: 1 },
    { name: 'b', line: 2 },
  ]);
  for (const text of ['', 'tasks', 'tasks:\n', ': :', '- a', 'tasks: 3', '{', 'tasks:\n  &a b: *a']) taskPlaces(text);
});
