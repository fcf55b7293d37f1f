import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireEtcd, startEtcd } from '../support/etcd-server.ts';
import { etcdctl } from '../support/etcdctl.ts';
import { until } from '../support/until.ts';
import { Tape } from './tape.ts';

test('a tape has every revision, through the death of a member and past a compaction', async t => {
  if (!requireEtcd(t)) return;
  await using etcd = await startEtcd({ members: 3 });
  const leader = await etcd.leader();
  const lost = etcd.members.find(member => member !== leader)!;
  const code = (text: string) => Buffer.from(text).toString('base64');
  const put = (key: string, value: string) =>
    etcd.request('/v3/kv/put', { key: code(key), value: code(value) }, leader.endpoint);
  await put('a/before', '1');
  await using tape = Tape.start(etcd.endpoints, 'a/');
  await until('the tape begins', () => tape.head === 2);
  await lost.kill();
  await put('a/during', '2');
  await put('elsewhere', 'not kept');
  await etcd.request('/v3/kv/deleterange', { key: code('a/before') }, leader.endpoint);
  await until('it goes on', () => tape.head === 5);
  await etcd.request('/v3/kv/compaction', { revision: '5' }, leader.endpoint);
  await lost.restart();
  await put('a/after', '3');
  await until('it goes on', () => tape.head === 6);
  assert.equal(tape.torn, undefined);
  assert.deepEqual(
    tape.events.map(({ revision, kind, key, value }) => [revision, kind, key, value]),
    [
      [2, 'put', 'a/before', '1'],
      [3, 'put', 'a/during', '2'],
      [4, 'put', 'elsewhere', undefined],
      [5, 'delete', 'a/before', undefined],
      [6, 'put', 'a/after', '3'],
    ],
  );
});

test('a tape that a compaction has overtaken says that it is torn', async t => {
  if (!requireEtcd(t)) return;
  await using etcd = await startEtcd();
  for (const key of ['a', 'b', 'c']) await etcdctl(etcd, 'put', key, '1');
  await etcd.request('/v3/kv/compaction', { revision: '4' });
  await using tape = Tape.start(etcd.endpoints, '');
  await until('it says so', () => tape.torn !== undefined);
  assert.equal(tape.torn, 'etcd was compacted at 4, the tape ends at 1');
});
