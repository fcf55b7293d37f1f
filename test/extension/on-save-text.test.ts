import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onSaveText } from '../../extension/on-save-text.ts';

const tasks = [
  { folder: 'file:///app', name: 'test' },
  { folder: 'file:///site', name: 'echo $(save)' },
];
const problem = { folder: 'file:///site', text: 'Cannot run it on save: the cluster is silent' };

test('the status bar names the tasks that run on each save, and what went wrong', () => {
  const open = ['file:///app', 'file:///site', 'file:///other'];
  assert.deepEqual(onSaveText({ tasks, problem: undefined, open }), {
    text: '$(save) test, echo \\$(save) on save',
    tooltip: 'Runs test, echo $(save) whenever a file is saved. Click to switch it off.',
  });
  assert.deepEqual(onSaveText({ tasks, problem, open }), {
    text: '$(warning) test, echo \\$(save) on save',
    tooltip: 'Cannot run it on save: the cluster is silent. Click to switch it off.',
  });
});

test('of a folder that was taken out of the workspace it says nothing more', () => {
  assert.deepEqual(onSaveText({ tasks, problem, open: ['file:///app'] }), {
    text: '$(save) test on save',
    tooltip: 'Runs test whenever a file is saved. Click to switch it off.',
  });
  assert.equal(onSaveText({ tasks, problem, open: ['file:///other'] }), undefined);
  assert.equal(onSaveText({ tasks: [], problem: undefined, open: ['file:///app'] }), undefined);
});
