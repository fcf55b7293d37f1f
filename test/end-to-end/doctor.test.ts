import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCeph, whyNoCeph } from '../support/ceph-server.ts';
import { requireEtcd, startEtcd } from '../support/etcd-server.ts';
import { simpleCi, temporaryFolder } from '../support/simple-ci.ts';

interface Report {
  readonly healthy: boolean;
  readonly findings: readonly { about: string; level: string; subject: string; what: string; advice?: string }[];
}

test('the doctor measures machine, etcd and S3, and says what is wrong with one member down', async t => {
  if (!requireEtcd(t)) return;
  const missing = whyNoCeph();
  if (missing) return t.skip(missing);
  await using etcd = await startEtcd({ members: 3, compactEvery: '5m' });
  await using ceph = await startCeph();
  await using home = await temporaryFolder();
  const argv = ['doctor', '--etcd', etcd.endpoints.join(','), '--s3', ceph.address];
  const env = { HOME: home.path, ...ceph.environment };
  const doctor = async () => JSON.parse((await simpleCi([...argv, '--json'], { env })).stdout) as Report;

  const well = await doctor();
  const subjects = Object.groupBy(well.findings, ({ about }) => about);
  assert.deepEqual(
    Object.entries(subjects).map(([about, found]) => `${about}: ${found!.map(({ subject }) => subject).join(' ')}`),
    [
      'This machine: Node.js git limits data disk space clock',
      `Isolation of tasks: ${subjects['Isolation of tasks']![0]!.subject}`,
      'Settings: stores bucket',
      'etcd: members version leader write fsync commit space compaction clock access',
      'S3: write read read a part look up clock list signed write signed read browsers delete credentials multipart conditions lifecycle versions',
    ],
  );
  const isStore = ({ about }: { about: string }) => about === 'etcd' || about === 'S3';
  assert.deepEqual(
    well.findings.filter(finding => isStore(finding) && finding.level === 'problem'),
    [],
  );

  await etcd.members[1]!.kill();
  const ill = await doctor();
  assert.equal(ill.healthy, false);
  const [problem] = ill.findings.filter(finding => isStore(finding) && finding.level === 'problem');
  assert.match(problem!.what, /^Cannot reach http.*nothing listens there$/);
  const { code, stdout } = await simpleCi(argv, { env });
  assert.equal(code, 1);
  assert.match(stdout, / {2}✗ address {7}Cannot reach http/);
});
