import assert from 'node:assert/strict';

/** An expression that goes back and forth over one line takes seconds and more; others some microseconds. */
const LONGEST_MS = 1000;

/** What the work gives, which must not take long: of its thread's time, not by the clock, as others may be busy. */
export function inTime<T>(work: () => T, input: string): T {
  const before = process.threadCpuUsage();
  const done = work();
  const { user, system } = process.threadCpuUsage(before);
  const ms = (user + system) / 1000;
  assert.ok(ms < LONGEST_MS, `${ms.toFixed(0)} ms for ${input.length} characters`);
  return done;
}
