import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { whyNoCeph } from '../support/ceph-server.ts';
import { requireEtcd } from '../support/etcd-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { judgeSoak } from './judge-soak.ts';
import { runSoak } from './run-soak.ts';

/** Two hours of it are for `npm run soak`. */
test('after a minute of mixed load, a node has open and on its disk what it had before, and did all that was asked', {
  skip: whyNoCeph(),
  timeout: 500_000,
}, async t => {
  if (!requireEtcd(t)) return;
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'samples.jsonl');
  const seed = 'npm test';
  const record = await runSoak(
    { seed, minutes: 1, rounds: 3, actionsPerSecond: 2, file, log: () => undefined },
    t.signal,
  );
  const { judgements, tasks, surprises } = judgeSoak(record);
  assert.deepEqual(surprises, []);
  const judged = judgements.filter(({ isFlat }) => isFlat !== null);
  assert.deepEqual(
    judged.filter(({ isFlat }) => !isFlat),
    [],
  );
  assert.ok(judged.length > 8 && tasks > 10, `${tasks} tasks, ${judged.length} judgements`);
});
