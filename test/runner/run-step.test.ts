import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogWriter } from '../../node-runtime/logs/logs.ts';
import { AttemptStop } from '../../node-runtime/runner/executor.ts';
import { type Pump, runStep, type StepLimits } from '../../node-runtime/runner/run-step.ts';
import type { CommandEnd, Sandbox } from '../../node-runtime/runner/sandbox.ts';
import { Standstill } from '../../node-runtime/runner/supervisor/standstill.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { CiError } from '../../shared/errors.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

/** A step under way in virtual time, whose command does what the test says. */
function step(limits: Partial<StepLimits>, write: () => Promise<void> = async () => undefined) {
  const clock = new FakeClock();
  const ended = Promise.withResolvers<CommandEnd>();
  const closed = Promise.withResolvers<void>();
  const stops: number[] = [];
  const standstill = new Standstill();
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
    stoodStill: async (since: number) => standstill.between(since, clock.monotonic()),
  } as unknown as Sandbox;
  const pumps: Pump[] = [];
  const ending = runStep(
    clock,
    sandbox,
    { write } as unknown as LogWriter,
    { argv: ['true'], cwd: '/', env: {} },
    {
      step: { run: 'true' },
      workingDirectory: '.',
      taskOver: neverAborted,
      taskTimeoutMs: 3_600_000,
      idleMs: 0,
      stop: neverAborted,
      ...limits,
    },
    pumps,
  );
  return {
    clock,
    stops,
    ending,
    freeze: () => standstill.begin(clock.monotonic()),
    thaw: () => standstill.end(clock.monotonic()),
    print: () => print.at(-1)?.(Buffer.from('x')),
    fail(error: Error) {
      closed.resolve();
      ended.reject(error);
    },
    end(end: CommandEnd) {
      closed.resolve();
      ended.resolve(end);
    },
  };
}

const KILLED = { kind: 'killed', signal: 'SIGKILL', byUs: true } as const;

for (const [what, limits, outcome] of [
  ['its silence', { idleMs: 60_000 }, 'idle-timed-out'],
  ['its own timeout', { step: { run: 'true', timeout: '60s' } }, 'timed-out'],
] as const)
  test(`the time in which a step stood still, frozen, does not count for ${what}`, async () => {
    const it = step(limits);
    await it.clock.advance(50_000);
    it.freeze();
    await it.clock.advance(500_000);
    it.thaw();
    await it.clock.advance(9000);
    assert.deepEqual(it.stops, []);
    await it.clock.advance(2000);
    assert.deepEqual(it.stops, [10_000]);
    it.end(KILLED);
    assert.equal((await it.ending).outcome, outcome);
  });

test('silence is counted from the last output on, also when it was frozen before that', async () => {
  const it = step({ idleMs: 60_000 });
  it.freeze();
  await it.clock.advance(500_000);
  it.thaw();
  await it.clock.advance(1000);
  it.print();
  await it.clock.advance(59_000);
  assert.deepEqual(it.stops, []);
  await it.clock.advance(2000);
  assert.deepEqual(it.stops, [10_000]);
  it.end(KILLED);
  await it.ending;
});

test('the time in which the log has no room for a step’s output is not its silence', async () => {
  const room = Promise.withResolvers<void>();
  const it = step({ idleMs: 60_000 }, () => room.promise);
  await it.clock.advance(50_000);
  it.print();
  await it.clock.advance(500_000);
  assert.deepEqual(it.stops, []);
  room.resolve();
  await it.clock.advance(59_000);
  assert.deepEqual(it.stops, []);
  await it.clock.advance(2000);
  assert.deepEqual(it.stops, [10_000]);
  it.end(KILLED);
  assert.equal((await it.ending).outcome, 'idle-timed-out');
});

test('a step that has ended waits for the log to take what it printed, and for no longer than 2 s', async () => {
  const room = Promise.withResolvers<void>();
  const it = step({}, () => room.promise);
  let isOver = false;
  void it.ending.then(() => (isOver = true));
  await settle();
  it.print();
  await settle();
  it.end({ kind: 'exited', code: 0 });
  await it.clock.advance(1900);
  assert.equal(isOver, false);
  await it.clock.advance(200);
  assert.equal(isOver, true);
  room.resolve();
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

test('a sandbox that could not be made for a step ends the attempt, not the step', async () => {
  const it = step({ idleMs: 60_000, step: { run: 'true', timeout: '1h' } });
  it.fail(new CiError('unavailable', 'Cannot make a sandbox'));
  await assert.rejects(it.ending, /Cannot make a sandbox/);
  await settle();
  assert.equal(it.clock.sleeping, 0);
});
