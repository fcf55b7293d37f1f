import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EtcdMetrics } from '../../node-runtime/store/etcd/etcd-metrics.ts';
import { judgeEtcd } from '../../node-runtime/store/etcd/judge-etcd.ts';
import type { MemberReport } from '../../node-runtime/store/etcd/member-report.ts';
import type { EtcdOptions } from '../../node-runtime/store/etcd-options.ts';

const ADDRESS = 'https://etcd:2379';
const HOUR = 3_600_000;

interface Seen extends Omit<Partial<MemberReport>, 'status' | 'metrics'> {
  readonly status?: Partial<MemberReport['status']>;
  readonly metrics?: string;
}

/** A member that is well but for what is said. */
function member({ status, metrics = '', ...seen }: Seen = {}): MemberReport {
  const header = { cluster_id: '1', member_id: '11', revision: '100', raft_term: '1' };
  return {
    address: ADDRESS,
    alarms: [],
    writing: { kind: 'took', times: [1, 2, 3] },
    members: ['11', '12', '13'],
    metrics: new EtcdMetrics(metrics),
    ...seen,
    status: { header, version: '3.5.30', dbSize: '1000', leader: '11', ...status } as MemberReport['status'],
  };
}

/** What is said of a subject. */
function judge(subject: string, reports: readonly MemberReport[], options: Partial<EtcdOptions> = {}): string {
  const found = judgeEtcd(reports, { endpoints: [ADDRESS, 'https://b:2379', 'https://c:2379'], ...options });
  return found
    .filter(finding => finding.subject === subject)
    .map(({ level, what }) => `${level}: ${what}`)
    .join('\n');
}

for (const [version, expected] of [
  ['3.3.27', /^problem: 3\.3\.27 is older than 3\.4/],
  ['3.4.10', /^warning: 3\.4\.10 has known faults, mended in 3\.4\.22/],
  ['3.4.23', /^ok: 3\.4\.23$/],
  ['3.5.2', /^problem: 3\.5\.2 can corrupt its data/],
  ['3.5.4', /^warning: 3\.5\.4 has known faults, mended in 3\.5\.6/],
  ['3.6.5', /^ok: 3\.6\.5$/],
  ['4.0.0-rc.1', /^ok/],
] as const)
  test(`etcd ${version} is judged by what is known of it`, () => {
    assert.match(judge('version', [member({ status: { version } })]), expected);
  });

test('an etcd that does not wait for its disk is refused', () => {
  const startedWith = (...options: string[]) =>
    judge('durability', [member(), member({ commandLine: ['/usr/bin/etcd', '--name', 'a', ...options] })]);
  const refused = `problem: ${ADDRESS} runs with --unsafe-no-fsync: tasks that it has acknowledged are lost with its power`;
  assert.equal(startedWith('--unsafe-no-fsync'), refused);
  assert.equal(startedWith('-unsafe-no-fsync=true'), refused);
  assert.equal(startedWith('--unsafe-no-fsync=false'), '');
  assert.equal(startedWith(), '');
});

test('so is one that was told so by a variable: it takes writes, and syncs none', () => {
  const synced = (times: number, seen: Seen = {}) =>
    judge('durability', [member({ metrics: `etcd_disk_wal_fsync_duration_seconds_count ${times}`, ...seen })]);
  const refused = `problem: ${ADDRESS} takes writes and does not wait for its disk, as with ETCD_UNSAFE_NO_FSYNC: tasks that it has acknowledged are lost with its power`;
  assert.equal(synced(1), refused);
  assert.equal(synced(12), '');
  assert.equal(synced(0, { writing: { kind: 'not tried' } }), '');
});

test('members of several releases are told', () => {
  const reports = [member(), member({ status: { version: '3.6.5' } })];
  assert.equal(judge('version', reports), 'warning: Members are of different ones: 3.5.30, 3.6.5');
});

test('an even number of members is no better than one less', () => {
  const two = { endpoints: [ADDRESS, 'https://b:2379'] } as const;
  assert.match(judge('members', [member({ members: ['11', '12'] })], two), /^warning: 2 in the cluster.*One less/);
});

test('a learner is no member to ask', () => {
  assert.match(judge('members', [member({ status: { isLearner: true } })]), /^problem: .* is a learner/);
});

test('a leader that changes all the time is told, once there was time to see it', () => {
  const metrics = 'etcd_server_leader_changes_seen_total 12';
  assert.match(judge('leader', [member({ metrics, upForMs: 2 * HOUR })]), /^warning: .* changes 6 times an hour$/);
  assert.equal(judge('leader', [member({ metrics, upForMs: HOUR / 2 })]), `ok: ${ADDRESS}`);
});

test('a slow disk is told by the slowest member', () => {
  const fsync = (slow: number) =>
    ['0.001', '0.128', '+Inf']
      .map((end, at) => `etcd_disk_wal_fsync_duration_seconds_bucket{le="${end}"} ${[100 - slow, 100, 100][at]}`)
      .concat('etcd_disk_wal_fsync_duration_seconds_count 100')
      .join('\n');
  assert.equal(judge('fsync', [member({ metrics: fsync(1) })]), 'ok: 99% within 1.0 ms');
  const reports = [member({ metrics: fsync(1) }), member({ metrics: fsync(2) })];
  assert.equal(judge('fsync', reports), 'warning: 99% within 128 ms');
});

test('slow writing is told', () => {
  const times = [90, 150, 400];
  assert.equal(judge('write', [member({ writing: { kind: 'took', times } })]), 'warning: 150 ms');
});

test('a database is judged by its quota', () => {
  const metrics = 'etcd_server_quota_backend_bytes 1e9';
  const space = (dbSize: string, told = metrics) => judge('space', [member({ metrics: told, status: { dbSize } })]);
  assert.equal(space('690000000'), 'ok: 690 MB of 1.0 GB, 69%');
  assert.equal(space('700000000'), 'warning: 700 MB of 1.0 GB, 70%');
  assert.equal(space('900000000'), 'problem: 900 MB of 1.0 GB, 90%');
  assert.equal(space('1000000', 'etcd_server_quota_backend_bytes 1e8'), 'warning: 1.0 MB of 100 MB, 1%: a small quota');
  assert.equal(space('1500000000', ''), 'warning: 1.5 GB; its quota is not told');
});

test('compaction is known by how etcd was started, or by what it has done', () => {
  const compaction = (revision: string, metrics: string, ...commandLine: string[]) => {
    const { status } = member();
    return judge('compaction', [member({ metrics, commandLine, status: { header: { ...status.header, revision } } })]);
  };
  const never = 'etcd_debugging_mvcc_compact_revision -1';
  assert.equal(
    compaction('100', never, 'etcd', '-auto-compaction-retention', '1h'),
    'ok: periodic, 1h; 100 revisions kept',
  );
  const byNumber = ['--auto-compaction-mode=revision', '--auto-compaction-retention=1000'];
  assert.equal(compaction('100', never, ...byNumber), 'ok: revision, 1000; 100 revisions kept');
  assert.match(compaction('100', never, '--auto-compaction-retention=0'), /^warning: No sign of it/);
  assert.equal(compaction('100', 'etcd_debugging_mvcc_compact_revision 90'), 'ok: 10 revisions kept');
  assert.equal(compaction('2000000', never), 'problem: 2,000,000 revisions kept');
});

test('members that tell no metrics are told, as much is then unknown', () => {
  const { metrics: _, ...silent } = member();
  assert.equal(judge('metrics', [silent]), 'warning: No member serves its metrics here');
});

test('a password that others can read on its way is a problem', () => {
  const auth = { user: 'ci', password: 'secret' };
  const at = (address: string) => judge('access', [member()], { auth, endpoints: [address] });
  assert.equal(at('http://etcd:2379'), 'problem: The password goes to another machine unencrypted');
  for (const address of ['https://etcd:2379', 'http://127.0.0.1:2379', 'http://[::1]:2379'])
    assert.equal(at(address), 'ok: As user ci');
});

test('a client certificate is as good as a password', () => {
  const tls = { ca: 'ca.crt', cert: 'a.crt', key: 'a.key' };
  assert.equal(judge('access', [member()], { tls }), 'ok: By client certificate');
});
