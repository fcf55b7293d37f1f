import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freezeWhenSilent } from '../../../node-runtime/runner/supervisor/freeze-when-silent.ts';
import { RenewalWatch } from '../../../node-runtime/runner/supervisor/renewal-watch.ts';
import type { LeaseId } from '../../../node-runtime/store/store.ts';
import { Machine } from '../../simulation/machine.ts';
import { Scheduler } from '../../simulation/scheduler.ts';

const LEASE = '42' as LeaseId;
const RULES = { freezeAfterMs: 20_000, killAfterFrozenMs: 600_000 };

/** A supervisor with one sandbox, and a node beside it that passes a renewal on every 5 s until it is told to stop. */
function guarded() {
  const scheduler = new Scheduler();
  const machine = new Machine('one', scheduler);
  const supervisor = machine.start('supervisor');
  const renewals = new RenewalWatch(supervisor, RULES.freezeAfterMs);
  const sandbox = {
    get isLeaseAlive() {
      return renewals.isAlive(LEASE);
    },
    frozenSince: undefined as number | undefined,
    freeze: async () => {
      sandbox.frozenSince ??= supervisor.monotonic();
    },
    kill: async () => undefined,
  };
  void freezeWhenSilent(supervisor, () => [sandbox], RULES);
  let renews = true;
  const renew = () => {
    const sent = { monotonic: machine.monotonic(), wall: machine.now() };
    supervisor.deliver(() => renewals.renewed({ lease: LEASE, sent }));
    if (renews) scheduler.after(5000, renew);
  };
  renew();
  const fallSilent = () => {
    renews = false;
  };
  return { supervisor, sandbox, fallSilent, until: (ms: number) => scheduler.runUntil(() => false, ms) };
}

test('a supervisor freezes 20 s after the last renewal was sent, and not before', async () => {
  const { sandbox, fallSilent, until } = guarded();
  await until(60_000);
  fallSilent();
  await until(100_000);
  assert.ok(sandbox.frozenSince! >= 80_000 && sandbox.frozenSince! <= 86_000, `${sandbox.frozenSince}`);
});

test('a supervisor that was stopped for a while freezes nothing of a node that has renewed meanwhile', async () => {
  const { supervisor, sandbox, until } = guarded();
  await until(10_000);
  supervisor.pause();
  await until(45_000);
  supervisor.resume();
  await until(60_000);
  assert.equal(sandbox.frozenSince, undefined);
});

test('a supervisor that was stopped together with its node freezes within a second of waking', async () => {
  const { supervisor, sandbox, fallSilent, until } = guarded();
  await until(11_000);
  fallSilent();
  supervisor.pause();
  await until(60_000);
  supervisor.resume();
  await until(61_100);
  assert.ok(sandbox.frozenSince! <= 61_000, `${sandbox.frozenSince}`);
});

test('nor does one that was stopped again before it had heard of the renewals', async () => {
  const { supervisor, sandbox, until } = guarded();
  await until(10_000);
  for (const [from, to] of [
    [10_000, 45_000],
    [45_300, 80_000],
    [80_200, 115_000],
  ] as const) {
    await until(from);
    supervisor.pause();
    await until(to);
    supervisor.resume();
  }
  await until(130_000);
  assert.equal(sandbox.frozenSince, undefined);
});

test('a supervisor that is slow all the time freezes before the lease can have ended all the same', async () => {
  const { supervisor, sandbox, fallSilent, until } = guarded();
  for (let at = 0; at < 100_000; at += 2000) {
    if (at === 40_000) fallSilent();
    await until(at);
    supervisor.pause();
    await until(at + 1950);
    supervisor.resume();
  }
  await until(100_000);
  assert.ok(sandbox.frozenSince! >= 60_000 && sandbox.frozenSince! <= 70_000, `${sandbox.frozenSince}`);
});
