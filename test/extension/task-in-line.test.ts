import assert from 'node:assert/strict';
import { test } from 'node:test';
import { taskInLine } from '../../extension/task-in-line.ts';

const ID = '501m8gm1rwrfj66grrm6yet2pn1';

test('what the terminal of a task says of it names the task, in any language', () => {
  for (const text of [`[Simple CI] task ${ID}`, `[Simple CI] Ganzes Protokoll: Aufgabe ${ID}`]) {
    const found = taskInLine(text);
    assert.deepEqual(found, { index: text.indexOf(ID), length: ID.length, task: ID });
  }
});

test('what the task itself has printed names none', () => {
  for (const text of [
    '',
    ID,
    `echo [Simple CI] task ${ID}`,
    '[Simple CI] passed: 3 steps',
    `[Simple CI] task ${ID}${ID}`,
  ])
    assert.equal(taskInLine(text), undefined, text);
});
