import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { whyNoCeph } from '../support/ceph-server.ts';
import { requireEtcd } from '../support/etcd-server.ts';
import { NEMESES } from './nemeses.ts';
import { lateCompletion } from './nemeses/late-completion.ts';
import { runChaos } from './run-chaos.ts';
import { buildUnsafe } from './unsafe-bundle.ts';

const LIMIT_MS = 400_000;

// Both wait for leases to end, mostly: they do so at once.
suite('real processes under real faults', { skip: whyNoCeph(), concurrency: true }, () => {
  test('nothing is lost, nothing done twice, nothing left behind', { timeout: LIMIT_MS }, async t => {
    if (!requireEtcd(t)) return;
    // With a node killed, one stopped, its clock set, its network link down, S3 hanging, etcd's leader killed and its quorum lost.
    const seed = 'npm test 259';
    const options = { seed, durationMs: 30_000, nodes: 4, tasksPerSecond: 0.6, nemeses: NEMESES, log: quiet };
    const { violations, tape, evidence, schedule } = await runChaos(options, t.signal);
    const repeat = `npm run chaos -- --seed "${seed}" --minutes 0.5 --nodes 4 --rate 0.6`;
    assert.deepEqual(violations, [], `Evidence in ${evidence}. To repeat: ${repeat}. ${JSON.stringify(schedule)}`);
    assert.ok(tape.completed.size > 10, `only ${tape.completed.size} tasks were completed`);
  });

  test('a node that completes without comparing the fence is found out', { timeout: LIMIT_MS }, async t => {
    if (!requireEtcd(t)) return;
    await using unsafe = await buildUnsafe();
    const load = { seed: 'unsafe', durationMs: 46_000, nodes: 2, tasksPerSecond: 0.6 };
    const options = { ...load, nemeses: [lateCompletion], program: unsafe.path, log: quiet };
    const { violations } = await runChaos(options, t.signal);
    assert.match(
      violations.map(({ invariant, text }) => `${invariant}: ${text}`).join('\n'),
      /^I2: completed at \d+ by fence \d+, while fence \d+ held it$/m,
    );
  });
});

function quiet(): void {}
