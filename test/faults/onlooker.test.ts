import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnedBack } from './onlooker.ts';

const finished = (outcome: string, fence: number) => ({ state: 'finished', result: { outcome, fence } }) as const;

test('a task may be queued again and run as a later attempt, and end', () => {
  assert.equal(turnedBack({ state: 'queued' }, { state: 'running', attempt: 1 }), undefined);
  const again = { state: 'queued', past: [{ attempt: 1 }] } as const;
  assert.equal(turnedBack({ state: 'running', attempt: 1 }, again), undefined);
  assert.equal(turnedBack(again, again), undefined);
  assert.equal(turnedBack(again, { state: 'running', attempt: 2 }), undefined);
  assert.equal(turnedBack({ state: 'running', attempt: 2 }, finished('passed', 7)), undefined);
  assert.equal(turnedBack(finished('passed', 7), finished('passed', 7)), undefined);
});

test('an attempt never goes back, and a result never changes', () => {
  const ran = { state: 'running', attempt: 2 } as const;
  assert.equal(turnedBack(ran, { ...ran, attempt: 1 }), 'it was running as 2, and then running as 1');
  const told = 'it was finished passed by 7, and then';
  assert.equal(turnedBack(finished('passed', 7), finished('failed', 7)), `${told} finished failed by 7`);
  assert.equal(turnedBack(finished('passed', 7), finished('passed', 9)), `${told} finished passed by 9`);
  assert.equal(turnedBack(finished('passed', 7), { state: 'queued' }), `${told} queued undefined by undefined`);
});

test('a queued task tells of each attempt that there has been', () => {
  const ran = { state: 'running', attempt: 2 } as const;
  const once = { state: 'queued', past: [{ attempt: 1 }] } as const;
  assert.equal(turnedBack(ran, once), 'it was running as 2, and then queued after attempt 1');
  assert.equal(turnedBack(ran, { state: 'queued' }), 'it was running as 2, and then queued after attempt 0');
  assert.equal(
    turnedBack(once, { state: 'running', attempt: 1 }),
    'it was queued after attempt 1, and then running as 1',
  );
});
