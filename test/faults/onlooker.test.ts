import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnedBack } from './onlooker.ts';

const finished = (outcome: string, fence: number) => ({ state: 'finished', result: { outcome, fence } }) as const;

test('a task may be queued again and run as a later attempt, and end', () => {
  assert.equal(turnedBack({ state: 'queued' }, { state: 'running', attempt: 1 }), undefined);
  assert.equal(turnedBack({ state: 'running', attempt: 1 }, { state: 'queued' }), undefined);
  assert.equal(turnedBack({ state: 'queued', attempt: 1 }, { state: 'running', attempt: 2 }), undefined);
  assert.equal(turnedBack({ state: 'running', attempt: 2 }, finished('passed', 7)), undefined);
  assert.equal(turnedBack(finished('passed', 7), finished('passed', 7)), undefined);
});

test('an attempt never goes back, and a result never changes', () => {
  const ran = { state: 'running', attempt: 2 } as const;
  assert.equal(turnedBack(ran, { ...ran, attempt: 1 }), 'it ran as attempt 2, and then as 1');
  const told = 'it was finished passed by 7, and then';
  assert.equal(turnedBack(finished('passed', 7), finished('failed', 7)), `${told} finished failed by 7`);
  assert.equal(turnedBack(finished('passed', 7), finished('passed', 9)), `${told} finished passed by 9`);
  assert.equal(turnedBack(finished('passed', 7), { state: 'queued' }), `${told} queued undefined by undefined`);
});
