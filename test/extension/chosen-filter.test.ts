import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterText, taskFilter } from '../../extension/chosen-filter.ts';

const here = { principal: 'ann', branches: ['main'] };

test('“mine” and “this branch” follow who one is, and what is checked out', () => {
  const chosen = { onlyMine: true, onlyBranch: true };
  assert.deepEqual(taskFilter(chosen, here), {
    submitter: 'ann',
    branches: ['main'],
    onlyFailed: false,
    onlyUnfinished: false,
  });
  assert.deepEqual(taskFilter(chosen, { principal: 'bob', branches: [] }), {
    submitter: 'bob',
    branches: [],
    onlyFailed: false,
    onlyUnfinished: false,
  });
});

test('a filter is told in words, and that there is none by nothing', () => {
  assert.equal(filterText({}), undefined);
  assert.equal(filterText({ onlyMine: false, onlyFailed: false }), undefined);
  assert.equal(filterText({ onlyMine: true, onlyBranch: true }), 'only mine, this branch');
  assert.equal(filterText({ onlyMine: true, onlyFailed: true }), 'only mine, failed');
  assert.equal(filterText({ onlyFailed: true, onlyUnfinished: true }), 'only failed or under way');
});
