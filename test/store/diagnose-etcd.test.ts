import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { diagnoseEtcd } from '../../node-runtime/store/diagnose-etcd.ts';
import type { EtcdOptions } from '../../node-runtime/store/etcd-options.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { type Clock, neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import type { Finding } from '../../node-runtime/system/finding.ts';
import { ETCD_USER, requireEtcd, startEtcd } from '../support/etcd-server.ts';
import { freePorts } from '../support/free-ports.ts';

/** On a busy machine a member may take longer for an answer than a node would wait. */
const diagnose = (options: EtcdOptions, clock: Clock = systemClock) =>
  diagnoseEtcd(options, { clock, chance: systemChance, signal: neverAborted, timeoutMs: 60_000 });

async function problems(options: EtcdOptions): Promise<string> {
  return told(await diagnose(options), 'problem');
}

/** What is said on a level, each with its advice. */
function told(findings: readonly Finding[], level: Finding['level']): string {
  return findings
    .filter(finding => finding.level === level)
    .map(({ subject, what, advice }) => `${subject}: ${what} -> ${advice ?? ''}`)
    .join('\n');
}

/** What is said of each subject. */
function bySubject(findings: readonly Finding[]): Record<string, string> {
  return Object.fromEntries(findings.map(({ level, subject, what }) => [subject, `${level}: ${what}`]));
}

describe('the diagnosis of etcd', { concurrency: 3 }, () => {
  test('a healthy etcd is told with all that was measured', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ members: 3, auth: true, compactEvery: '5m' });
    const findings = await diagnose({ ...etcd.options, auth: ETCD_USER });
    assert.deepEqual(
      findings.map(({ subject }) => subject),
      ['members', 'version', 'leader', 'write', 'fsync', 'commit', 'space', 'compaction', 'clock', 'access'],
    );
    const said = bySubject(findings);
    assert.equal(said.members, 'ok: 3 in the cluster; 3 of 3 addresses answer');
    assert.match(said.leader!, /^ok: http:\/\/127\.0\.0\.1:\d+$/);
    assert.match(said.write!, /: [\d.]+ ms through the slowest member$/);
    assert.match(said.fsync!, /: 99% within [\d.]+ ms$/);
    assert.match(said.commit!, /: 99% within [\d.]+ ms$/);
    assert.equal(said.space, 'ok: Under 0.1 MB of 2.1 GB, 0%');
    assert.match(said.compaction!, /^ok: periodic, 5m; \d+ revisions? kept$/);
    assert.equal(said.clock, "ok: Within 1 s of this machine's");
    assert.equal(said.access, 'ok: As user ci');
    assert.equal(told(findings, 'problem'), '');
  });

  test('three members of which one is down are a problem, and the others are measured', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ members: 3 });
    const [, , third] = etcd.members;
    await third!.kill();
    const findings = await diagnose(etcd.options);
    const said = bySubject(findings);
    assert.equal(said.address, `problem: Cannot reach ${third!.endpoint}: connection refused: nothing listens there`);
    assert.equal(said.members, 'ok: 3 in the cluster; 2 of 3 addresses answer');
    assert.match(said.write!, /ms through the slowest member$/);
  });

  test('members that no node would know of are told', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ members: 3 });
    const { members } = bySubject(await diagnose({ endpoints: [etcd.endpoints[0]] }));
    assert.equal(members, 'warning: 3 in the cluster; 1 of 1 addresses answer; 2 are not named');
  });

  test('an etcd that is alone, lets everybody in and compacts nothing is told what to do', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd();
    await etcd.request('/v3/kv/put', { key: 'YQ==', value: 'YQ==' });
    const warnings = told(await diagnose(etcd.options), 'warning');
    assert.match(warnings, /^members: 1 in the cluster.* -> Run three/m);
    assert.match(
      warnings,
      /^compaction: No sign of it: 2 revisions kept, all there ever were -> Start etcd with --auto-compaction-mode=periodic --auto-compaction-retention=5m/m,
    );
    assert.match(warnings, /^access: Anybody who reaches it is let in: tasks too.* -> Switch on users/m);
  });

  test('an etcd that has compacted is known to do it, however it was told', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd();
    await etcd.request('/v3/kv/put', { key: 'YQ==', value: 'YQ==' });
    await etcd.request('/v3/kv/compaction', { revision: '2', physical: true });
    assert.equal(bySubject(await diagnose(etcd.options)).compaction, 'ok: 0 revisions kept');
  });

  test('a clock that is far from etcd’s is told', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd();
    const fast: Clock = { ...systemClock, now: () => Date.now() + 600_000 };
    assert.match(
      told(await diagnose(etcd.options, fast), 'warning'),
      /^clock: This machine's is (59|60)\d s ahead of that of http:.* -> Set both by NTP/m,
    );
  });

  test('root is too mighty a user for a node', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ auth: true });
    assert.match(told(await diagnose(etcd.options), 'warning'), /^access: As root, .* -> Make a user/m);
  });

  test('an address where nothing listens is a problem, and others go on', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd();
    const [port] = await freePorts(1);
    const options: EtcdOptions = { endpoints: [`http://127.0.0.1:${port}`, etcd.endpoints[0]] };
    assert.match(await problems(options), /nothing listens there -> Check the address/);
    assert.match(bySubject(await diagnose(options)).members!, /1 of 2 addresses answer/);
  });

  test('a wrong password is a problem', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ auth: true });
    const wrong = { ...etcd.options, auth: { user: 'root', password: 'wrong' } };
    assert.match(await problems(wrong), /does not know this user and password.* -> Check the user/);
    assert.equal(await problems(etcd.options), '');
  });

  test('certificates that do not fit are a problem', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ tls: 'mutual' });
    const { endpoints, certificates } = etcd;
    const { ca, client, stranger } = certificates!;
    assert.match(await problems({ endpoints }), /authority that is not known here -> Check the certificate files/);
    assert.match(await problems({ endpoints, tls: { ca } }), /client certificate/);
    assert.match(
      await problems({ endpoints, tls: { ca, cert: client.cert, key: stranger.key } }),
      /do not belong together/,
    );
    assert.match(await problems({ endpoints, tls: { ca: '/no/such.crt' } }), /\/no\/such\.crt/);
    assert.equal(await problems(etcd.options), '');
  });

  test('members without a leader are a problem', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ members: 3 });
    await Promise.all(etcd.members.slice(1).map(member => member.kill()));
    const only: EtcdOptions = { endpoints: [etcd.endpoints[0]] };
    const said = await problems(only);
    // Which of the two depends on whether the member has noticed yet.
    assert.match(
      said,
      /leader: .*has no leader: nothing can be written -> Start more members|write: Cannot write as etcd .* -> See whether most/,
    );
  });

  test('a full database is a problem', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ quotaBytes: 2_000_000 });
    const value = Buffer.alloc(1_000_000).toString('base64');
    const put = (n: number) => etcd.request('/v3/kv/put', { key: Buffer.from(`k${n}`).toString('base64'), value });
    let isFull = false;
    for (let n = 0; n < 100 && !isFull; n++) {
      isFull = await put(n).then(
        () => false,
        () => true,
      );
    }
    const findings = await diagnose(etcd.options);
    const said = told(findings, 'problem');
    assert.match(said, /^alarm: http:.* is full \(NOSPACE\).* -> Compact and defragment it or raise .* alarm disarm$/m);
    // The same said twice helps nobody.
    assert.doesNotMatch(said, /^write/m);
    // How much is counted of what did not fit any more, is up to etcd.
    assert.match(bySubject(findings).space!, /^(warning|problem): [\d.]+ MB of 2\.0 MB, \d+%/);
  });

  test('addresses of two clusters are a problem', async t => {
    if (!requireEtcd(t)) return;
    await using one = await startEtcd();
    await using two = await startEtcd();
    const said = await problems({ endpoints: [one.endpoints[0], two.endpoints[0]] });
    assert.match(said, /different etcd clusters/);
  });
});
