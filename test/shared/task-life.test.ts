import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TaskView } from '../../shared/api.ts';
import type { LogMark } from '../../shared/log.ts';
import type { Outcome, PastAttempt, StepResult } from '../../shared/result.ts';
import type { TaskRecord } from '../../shared/task.ts';
import { LiveSteps } from '../../shared/task-page/live-steps.ts';
import { taskLife } from '../../shared/task-page/task-life.ts';

const id = '501hzzzzzzzzzzzzzzzzzzzzzz';

const record: TaskRecord = {
  v: 1,
  name: 'build',
  steps: [{ name: 'Install', run: 'npm ci' }, { run: 'make\nmake check' }],
  submitted: 1000,
  submitter: 'me',
};

const lost: PastAttempt = { attempt: 1, fence: 7, node: 'n1', claimed: 3000, end: 'lost' };

function queued(past: PastAttempt[] = []): TaskView {
  return { state: 'queued', id, task: record, past };
}

function running(past: PastAttempt[] = []): TaskView {
  return { state: 'running', id, task: record, past, attempt: past.length + 1, fence: 9, node: 'n2', claimed: 5000 };
}

function finished(outcome: Outcome, steps: StepResult[], changes: object = {}): TaskView {
  const times = { submitted: 1000, claimed: 5000, started: 5500, finished: 9000 };
  const result = {
    v: 1,
    outcome,
    message: '',
    fence: 9,
    attempt: 1,
    node: 'n2',
    instance: 'i',
    times,
    steps,
    log: { bytes: 0, lines: 0 },
    artifacts: { count: 0, bytes: 0 },
    past: [],
    task: record,
    ...changes,
  };
  return { state: 'finished', id, task: record, past: [], result };
}

/** `label state from-to (note)`, with `…` for what is not over. */
function lines(view: TaskView, live = new LiveSteps()): string[] {
  return taskLife(view, live.steps).map(({ label, state, start, end, note, level, isEndGuessed }) => {
    const time = start === undefined ? '' : ` ${start}-${isEndGuessed ? '<' : ''}${end ?? '…'}`;
    return `${'  '.repeat(level)}${label}: ${state}${time}${note === '' ? '' : ` (${note})`}`;
  });
}

test('a task that waits has been in the queue since it was submitted', () => {
  assert.deepEqual(lines(queued()), ['In the queue: waiting 1000-…']);
});

test('an attempt whose node died was over at the latest when the next one began', () => {
  assert.deepEqual(lines(running([lost])).slice(0, 3), [
    'In the queue: done 1000-3000',
    'Attempt 1 on n1: lost 3000-<5000 (lost with its node)',
    'Attempt 2 on n2: running 5000-…',
  ]);
  assert.deepEqual(lines(queued([lost])), [
    'In the queue: done 1000-3000',
    'Attempt 1 on n1: lost 3000-<… (lost with its node)',
  ]);
});

test('while a task runs, its steps are those that its log tells of, then those that are to come', () => {
  const live = new LiveSteps();
  assert.deepEqual(lines(running(), live).slice(1), [
    'Attempt 1 on n2: running 5000-…',
    '  Prepare the files: running 5000-…',
    '  Install: waiting',
    '  make: waiting',
  ]);
  const mark = (kind: LogMark['kind'], step: number, time: number, text: string) =>
    live.add({ offset: 0, kind, step, time, text });
  mark('step-started', 0, 5500, 'Install');
  mark('step-finished', 0, 6000, 'passed');
  mark('step-started', 1, 6100, 'make');
  mark('step-started', 0, 5500, 'Install');
  assert.deepEqual(lines(running(), live).slice(2), [
    '  Prepare the files: done 5000-5500',
    '  Install: passed 5500-6000',
    '  make: running 6100-…',
  ]);
  mark('step-finished', 1, 7000, 'failed: ended with 2');
  assert.deepEqual(lines(running(), live).slice(4), ['  make: failed 6100-7000', '  End: running 7000-…']);
});

test('of a finished task everything is known', () => {
  const steps: StepResult[] = [
    { name: 'Install', outcome: 'failed', exitCode: 3, started: 5500, finished: 8000 },
    { name: 'make', outcome: 'skipped' },
  ];
  assert.deepEqual(lines(finished('failed', steps)), [
    'In the queue: done 1000-5000',
    'Attempt 1 on n2: failed 5000-9000',
    '  Prepare the files: done 5000-5500',
    '  Install: failed 5500-8000 (exit code 3)',
    '  make: skipped',
    '  End: done 8000-9000',
  ]);
});

test('a task whose files could not be prepared failed there', () => {
  const steps: StepResult[] = [];
  assert.deepEqual(lines(finished('invalid', steps)), [
    'In the queue: done 1000-5000',
    'Attempt 1 on n2: failed 5000-9000',
    '  Prepare the files: failed 5000-9000',
  ]);
});

test('a task that was cancelled in the queue had no attempt', () => {
  const times = { submitted: 1000, finished: 4000 };
  const view = finished('cancelled', [], { fence: 0, attempt: 0, node: '', times });
  assert.deepEqual(lines(view), ['In the queue: done 1000-4000']);
});
