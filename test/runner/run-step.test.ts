import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogWriter } from '../../node-runtime/logs/logs.ts';
import { AttemptStop } from '../../node-runtime/runner/executor.ts';
import { type Pump, runStep, type StepLimits } from '../../node-runtime/runner/run-step.ts';
import type { CommandEnd, Sandbox } from '../../node-runtime/runner/sandbox.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { CiError } from '../../shared/errors.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

/** A step under way in virtual time, whose command does what the test says. */
function step(limits: Partial<StepLimits>, write: () => Promise<void> = async () => undefined) {
  const clock = new FakeClock();
  const ended = Promise.withResolvers<CommandEnd>();
  const closed = Promise.withResolvers<void>();
  const stops: number[] = [];
  const print: ((bytes: Uint8Array) => void)[] = [];
  async function* output() {
    for (;;) {
      const next = Promise.withResolvers<Uint8Array>();
      print.push(next.resolve);
      const bytes = await Promise.race([next.promise, closed.promise]);
      if (!bytes) return;
      yield bytes;
    }
  }
  const sandbox = {
    run: () => ({ output: output(), ended: ended.promise, stop: (graceMs: number) => stops.push(graceMs) }),
  } as unknown as Sandbox;
  const pumps: Pump[] = [];
  const ending = runStep(
    clock,
    sandbox,
    { write } as unknown as LogWriter,
    { argv: ['true'], cwd: '/', env: {} },
    {
      step: { run: 'true' },
      taskTimeout: neverAborted,
      taskTimeoutMs: 3_600_000,
      idleMs: 0,
      mayBeFrozen: () => false,
      stop: neverAborted,
      ...limits,
    },
    pumps,
  );
  return {
    clock,
    stops,
    ending,
    print: () => print.at(-1)?.(Buffer.from('x')),
    end(end: CommandEnd) {
      closed.resolve();
      ended.resolve(end);
    },
  };
}

const KILLED = { kind: 'killed', signal: 'SIGKILL', byUs: true } as const;

test('silence is not counted while the task may be frozen: it could print nothing', async () => {
  let frozen = false;
  const it = step({ idleMs: 60_000, mayBeFrozen: () => frozen });
  await it.clock.advance(50_000);
  frozen = true;
  await it.clock.advance(600_000);
  frozen = false;
  await it.clock.advance(50_000);
  assert.deepEqual(it.stops, []);
  await it.clock.advance(15_000);
  assert.deepEqual(it.stops, [10_000]);
  it.end(KILLED);
  assert.equal((await it.ending).outcome, 'idle-timed-out');
});

test('a step that is cancelled may clean up for 10 s; one whose claim is lost is killed at once', async () => {
  for (const [why, graceMs] of [
    ['cancelled', 10_000],
    ['drained', 10_000],
    ['lost', 0],
  ] as const) {
    const stop = new AbortController();
    const it = step({ stop: stop.signal });
    await settle();
    stop.abort(new AttemptStop(why, why));
    await settle();
    assert.deepEqual(it.stops, [graceMs], why);
    it.end(KILLED);
    assert.equal((await it.ending).outcome, 'cancelled');
  }
});

test('a log that fails under a step harms nobody before the step ends, and is its end then', async () => {
  const it = step({}, async () => {
    throw new CiError('unavailable', 'Cannot store the log');
  });
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on('unhandledRejection', note);
  await settle();
  it.print();
  await settle();
  it.end({ kind: 'exited', code: 0 });
  await assert.rejects(it.ending, /Cannot store the log/);
  await settle();
  process.off('unhandledRejection', note);
  assert.deepEqual(unhandled, []);
});

test('when a step has ended, nothing of its limits is left waiting', async () => {
  const it = step({ idleMs: 60_000, step: { run: 'true', timeout: '1h' } });
  await settle();
  it.end({ kind: 'exited', code: 0 });
  assert.equal((await it.ending).outcome, 'passed');
  await settle();
  assert.equal(it.clock.sleeping, 0);
});
