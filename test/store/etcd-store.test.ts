import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { isCiError } from '../../shared/errors.ts';
import { EtcdStore } from '../../node-runtime/store/etcd-store.ts';
import type { EtcdOptions } from '../../node-runtime/store/etcd-options.ts';
import type { CommitResult, Store } from '../../node-runtime/store/store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { makeCertificates } from '../support/certificates.ts';
import { ETCD_USER, requireEtcd, startEtcd } from '../support/etcd-server.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { freePorts } from '../support/free-ports.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';
import { Watched } from '../support/watched.ts';

/** What Node.js has warned of, in any test of this file: it does so once. */
const warnings: Error[] = [];
process.on('warning', warning => warnings.push(warning));

const call = { signal: neverAborted, timeoutMs: 3000 };
const connect = (options: EtcdOptions) =>
  EtcdStore.open(options, { clock: systemClock, chance: systemChance }, neverAborted);
const put = (store: Store, key: string, value = ''): Promise<CommitResult> =>
  store.commit({ when: [], then: [{ put: key, value }] }, call);

const failsWith = (code: string, pattern: RegExp) => (error: unknown) => {
  assert.ok(isCiError(error), String(error));
  assert.equal(error.code, code);
  assert.match(error.message, pattern);
  return true;
};

describe('EtcdStore', { concurrency: 3 }, () => {
  test('an etcd that is not there is named with its addresses and the reason', async () => {
    const [first, second] = await freePorts(2);
    const endpoints = [`http://127.0.0.1:${first}`, `http://127.0.0.1:${second}`] as const;
    await assert.rejects(
      connect({ endpoints }),
      failsWith('unavailable', new RegExp(`${first} \\(connection refused`)),
    );
    await assert.rejects(
      connect({ endpoints }),
      failsWith('unavailable', new RegExp(`${second} \\(connection refused`)),
    );
  });

  test('an opening ends with its signal', async () => {
    const [port] = await freePorts(1);
    const reason = new Error('enough');
    const options = { endpoints: [`http://127.0.0.1:${port}`] } as const;
    const parts = { clock: systemClock, chance: systemChance };
    const stop = new AbortController();
    const opening = EtcdStore.open(options, parts, stop.signal);
    stop.abort(reason);
    await assert.rejects(opening, reason);
  });

  test('a wrong password is refused, and so is none', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ auth: true });
    const { endpoints } = etcd;
    const wrong = connect({ endpoints, auth: { user: 'root', password: 'wrong' } });
    await assert.rejects(wrong, failsWith('unauthenticated', /does not know this user and password/));
    await using none = await connect({ endpoints });
    await assert.rejects(none.range({ key: 'a', limit: 1 }, call), failsWith('unauthenticated', /wants a user/));
    await assert.rejects(put(none, 'a'), failsWith('unauthenticated', /wants a user/));
  });

  test('a user may touch only what its role allows', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ auth: true });
    await using store = await connect({ endpoints: etcd.endpoints, auth: ETCD_USER });
    assert.equal((await put(store, 'ci/a')).kind, 'committed');
    await assert.rejects(put(store, 'other/a'), failsWith('forbidden', /does not allow/));
    await assert.rejects(store.range({ prefix: 'other/', limit: 1 }, call), failsWith('forbidden', /does not allow/));
    const denied = new Watched(store, 'other/', 1);
    await until('the watch ends', () => denied.hasEnded);
    assert.ok(isCiError(denied.error, 'forbidden'), String(denied.error));
    await using allowed = new Watched(store, 'ci/', 1);
    await allowed.atLeast(1);
  });

  test('calls and watches go on when the token expires and when etcd forgets it', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ auth: true, tokenTtlSeconds: 1 });
    await using store = await connect(etcd.options);
    await using early = new Watched(store, 'a', 1);
    await put(store, 'a1');
    await early.atLeast(1);
    // Long enough for the token to expire unused: its life is extended whenever it is shown.
    await systemClock.sleep(3000, neverAborted);
    await using late = new Watched(store, 'a', 1);
    await late.atLeast(1);
    assert.equal((await put(store, 'a2')).kind, 'committed');
    await etcd.members[0]!.kill();
    await etcd.members[0]!.restart();
    assert.equal((await put(store, 'a3')).kind, 'committed');
    await Promise.all([early.atLeast(3), late.atLeast(3)]);
    assert.deepEqual(
      [early.keys, late.keys],
      [
        ['a1', 'a2', 'a3'],
        ['a1', 'a2', 'a3'],
      ],
    );
  });

  test('a user and password given to an etcd that wants none do no harm', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd();
    await using store = await connect({ endpoints: etcd.endpoints, auth: ETCD_USER });
    assert.equal((await put(store, 'a')).kind, 'committed');
  });

  test('TLS trusts the given authority and no other', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ tls: 'server' });
    const { endpoints, certificates } = etcd;
    await using store = await connect({ endpoints, tls: { ca: certificates!.ca } });
    assert.equal((await put(store, 'a')).kind, 'committed');
    await assert.rejects(connect({ endpoints }), failsWith('unavailable', /authority that is not known here/));
    const other = { ca: certificates!.stranger.ca };
    await assert.rejects(
      connect({ endpoints, tls: other }),
      failsWith('unavailable', /authority that is not known here/),
    );
    const plain = [endpoints[0].replace('https', 'http')] as const;
    await assert.rejects(connect({ endpoints: plain }), failsWith('unavailable', /is it https\?/));
  });

  test('the certificate must be for the address, which may be an IP address', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ tls: 'server' });
    const { certificates } = etcd;
    const { port } = new URL(etcd.endpoints[0]);
    // Another address of this machine, which the certificate does not know.
    const relay = createServer(client => {
      const server = connectTcp(Number(port), '127.0.0.1');
      client.on('error', () => server.destroy());
      server.on('error', () => client.destroy());
      client.pipe(server).pipe(client);
    });
    t.after(() => relay.close());
    relay.listen(0, '127.0.0.2');
    await once(relay, 'listening');
    const tls = { ca: certificates!.ca };
    const other = `https://127.0.0.2:${(relay.address() as AddressInfo).port}`;
    await assert.rejects(connect({ endpoints: [other], tls }), failsWith('unavailable', /is for another host name/));
    for (const host of ['127.0.0.1', 'localhost']) {
      await using store = await connect({ endpoints: [`https://${host}:${port}`], tls });
      assert.equal((await put(store, 'a')).kind, 'committed');
    }
  });

  test('a host is named to the server, an IP address is not, and Node.js has nothing to warn of', async t => {
    if (!requireEtcd(t)) return;
    await using folder = await temporaryFolder();
    const { ca, server } = makeCertificates(folder.path);
    const files = { cert: readFileSync(server.cert), key: readFileSync(server.key) };
    /** What a server that cuts every connection has been told to be. */
    const namesHeard = async (host: string) => {
      const named = new Set<unknown>();
      const listener = createTlsServer({ ...files, ALPNProtocols: ['h2'] }, socket => {
        named.add(socket.servername);
        socket.on('error', () => undefined).destroy();
      });
      t.after(() => listener.close());
      listener.listen(0, '127.0.0.1');
      await once(listener, 'listening');
      const endpoints = [`https://${host}:${(listener.address() as AddressInfo).port}`] as const;
      await assert.rejects(connect({ endpoints, tls: { ca } }), failsWith('unavailable', new RegExp(host)));
      return [...named];
    };
    assert.deepEqual(await namesHeard('127.0.0.1'), [false]);
    assert.deepEqual(await namesHeard('localhost'), ['localhost']);
    assert.deepEqual(
      warnings.filter(({ name }) => name === 'DeprecationWarning').map(({ message }) => message),
      [],
    );
  });

  test('an etcd that wants client certificates takes the right one only', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ tls: 'mutual' });
    const { endpoints, certificates } = etcd;
    const { ca, stranger } = certificates!;
    await using store = await connect(etcd.options);
    assert.equal((await put(store, 'a')).kind, 'committed');
    await assert.rejects(connect({ endpoints, tls: { ca } }), failsWith('unavailable', /client certificate/));
    const foreign = { ca, cert: stranger.cert, key: stranger.key };
    await assert.rejects(connect({ endpoints, tls: foreign }), failsWith('unavailable', /client certificate/));
  });

  test('certificate files that are missing or no certificates are named', async t => {
    if (!requireEtcd(t)) return;
    const endpoints = ['https://127.0.0.1:1'] as const;
    await assert.rejects(connect({ endpoints, tls: { ca: '/no/such.crt' } }), failsWith('invalid', /\/no\/such\.crt/));
    const file = import.meta.filename;
    await assert.rejects(connect({ endpoints, tls: { ca: file } }), failsWith('invalid', /not in PEM format/));
  });

  test('a member that ends is replaced by another one', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ members: 3 });
    await using store = await connect(etcd.options);
    await put(store, 'a0');
    await using watched = new Watched(store, 'a', 1);
    await watched.atLeast(1);
    for (let round = 1; round <= 3; round++) {
      const member = etcd.members[round - 1]!;
      await member.kill();
      await until('a write is accepted', () =>
        put(store, `a${round}`).then(
          result => result.kind === 'committed',
          () => false,
        ),
      );
      await watched.atLeast(round + 1);
      await member.restart();
    }
    assert.deepEqual([...new Set(watched.keys)], ['a0', 'a1', 'a2', 'a3']);
  });

  test('a member that hangs costs one call, and no watch goes deaf', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ members: 3 });
    await using store = await connect(etcd.options);
    const lease = await store.grantLease(30, call);
    await using watched = new Watched(store, 'a', 1);
    await put(store, 'a0');
    await watched.atLeast(1);
    for (const member of etcd.members) {
      member.pause();
      const start = systemClock.monotonic();
      await until('a renewal', () =>
        store.renewLease(lease, { ...call, timeoutMs: 2000 }).then(
          ttl => ttl === 30,
          () => false,
        ),
      );
      const count = watched.changes.length;
      await until('a write', () =>
        put(store, 'a1').then(
          result => result.kind === 'committed',
          () => false,
        ),
      );
      await watched.atLeast(count + 1);
      const took = systemClock.monotonic() - start;
      assert.ok(took < 25_000, `it took ${took} ms of the lease’s 30 s`);
      member.resume();
    }
  });

  test('a connection that swallows everything is given up for a new one', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd();
    await using proxy = await FaultProxy.start(etcd.endpoints[0]);
    await using store = await connect({ endpoints: [proxy.endpoint] });
    await put(store, 'a');
    const { accepted } = proxy;
    proxy.set({ blackhole: 'both' });
    await assert.rejects(
      store.range({ key: 'a', limit: 1 }, { ...call, timeoutMs: 1200 }),
      failsWith('unavailable', /^Cannot read "a" as etcd did not answer in time: /),
    );
    proxy.set({});
    await store.range({ key: 'a', limit: 1 }, call);
    assert.ok(proxy.accepted > accepted);
  });

  test('a connection that is dropped is told with what was asked', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd();
    await using proxy = await FaultProxy.start(etcd.endpoints[0]);
    await using store = await connect({ endpoints: [proxy.endpoint] });
    await put(store, 'a');
    proxy.set({ blackhole: 'both' });
    const read = assert.rejects(
      store.range({ prefix: 'tasks/', limit: 1 }, call),
      failsWith('unavailable', /^Cannot read what is under "tasks\/" as etcd at http:[^ ]+ failed: /),
    );
    const written = store.commit({ when: [], then: [{ put: 'a', value: '' }, { delete: 'b' }] }, call);
    await systemClock.sleep(200, neverAborted);
    proxy.cut();
    await read;
    const result = await written;
    assert.match(
      result.kind === 'ambiguous' ? result.cause.message : result.kind,
      /^Cannot write "a" and 1 more as etcd at http:[^ ]+ failed: /,
    );
  });

  test('a connection whose greeting was swallowed is given up for a new one', { timeout: 60_000 }, async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd();
    await using proxy = await FaultProxy.start(etcd.endpoints[0]);
    await using store = await connect({ endpoints: [proxy.endpoint] });
    proxy.set({ blackhole: 'both' });
    proxy.cut();
    const read = () =>
      store.range({ key: 'a', limit: 1 }, call).then(
        () => 'read',
        (error: Error) => error.message,
      );
    await until('it connects anew, into silence', async () => (await read()).startsWith('Cannot reach etcd'));
    // That connection stays as it is: etcd itself would close it after two minutes.
    proxy.set({});
    await until('etcd answers', async () => (await read()) === 'read', 40_000);
  });

  test('a full database says so, and frees nothing by itself', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd({ quotaBytes: 2_000_000 });
    await using store = await connect(etcd.options);
    // etcd looks at its size now and then, so that some more go in than there is room for.
    const fill = async () => {
      for (let n = 0; n < 100; n++) await put(store, `a${n}`, 'x'.repeat(900_000));
    };
    await assert.rejects(fill(), failsWith('unavailable', /quota \(alarm NOSPACE\).*--quota-backend-bytes/));
    const noSpace = failsWith('unavailable', /NOSPACE/);
    await assert.rejects(store.grantLease(5, call), noSpace);
    const together = ['b', 'c'].map(key => put(store, key));
    await Promise.all(together.map(refused => assert.rejects(refused, noSpace)));
    assert.equal((await store.range({ prefix: 'b', limit: 1 }, call)).records.length, 0);
    assert.equal((await store.range({ key: 'a0', limit: 1 }, call)).records.length, 1);
  });

  test('a read of more than 4 MB works', async t => {
    if (!requireEtcd(t)) return;
    await using etcd = await startEtcd();
    await using store = await connect(etcd.options);
    for (let n = 0; n < 8; n++) await put(store, `a${n}`, 'x'.repeat(900_000));
    assert.equal((await store.range({ prefix: 'a', limit: 500 }, call)).records.length, 8);
    await using watched = new Watched(store, 'a', 1);
    await watched.atLeast(8);
  });
});
