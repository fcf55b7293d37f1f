import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { diagnoseEtcd } from '../../node-runtime/store/diagnose-etcd.ts';
import type { EtcdOptions } from '../../node-runtime/store/etcd-options.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { requireEtcd, startEtcd } from '../support/etcd-server.ts';
import { freePorts } from '../support/free-ports.ts';

const diagnose = (options: EtcdOptions) =>
  diagnoseEtcd(options, { clock: systemClock, chance: systemChance, signal: neverAborted });

async function problems(options: EtcdOptions): Promise<string> {
  const findings = await diagnose(options);
  return findings
    .filter(finding => finding.level === 'problem')
    .map(finding => `${finding.what} -> ${finding.advice ?? ''}`)
    .join('\n');
}

describe('the diagnosis of etcd', { concurrency: 3 }, () => {
  test('a healthy etcd is told with its version, size and speed', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd();
    const findings = await diagnose(etcd.options);
    const said = findings.map(finding => finding.what).join('\n');
    assert.match(
      said,
      /^etcd 3\.\d+\.\d+ answers at http:\/\/127\.0\.0\.1:\d+\nThe database .* MiB\nWriting .* takes [\d.]+ ms$/,
    );
    assert.equal(await problems(etcd.options), '');
  });

  test('an address where nothing listens is a problem, and others go on', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd();
    const [port] = await freePorts(1);
    const options: EtcdOptions = { endpoints: [`http://127.0.0.1:${port}`, etcd.endpoints[0]] };
    assert.match(await problems(options), /nothing listens there -> Check the address/);
    const findings = await diagnose(options);
    assert.ok(findings.some(({ what }) => what === '1 of 2 addresses answer: a node uses any of them'));
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
      /has no leader: nothing can be written -> Start more members|Cannot write as etcd did not answer in time: .* -> See whether most/,
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
    assert.match(await problems(etcd.options), /alarm NOSPACE -> Compact and defragment/);
  });

  test('addresses of two clusters are a problem', async t => {
    if (!requireEtcd(t)) return;
    await using one = await startEtcd();
    await using two = await startEtcd();
    const said = await problems({ endpoints: [one.endpoints[0], two.endpoints[0]] });
    assert.match(said, /different etcd clusters/);
  });
});
