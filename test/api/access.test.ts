import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { AccessControl } from '../../node-runtime/api/access.ts';
import { newTokenText, parseTokenText } from '../../node-runtime/cluster/token-text.ts';
import { createToken, ensureAdminToken, listTokens, revokeToken } from '../../node-runtime/cluster/tokens.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { redact } from '../../node-runtime/system/logger.ts';
import { isCiError } from '../../shared/errors.ts';
import { parseNodeId } from '../../shared/ids.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testCluster } from '../support/test-cluster.ts';

const isRefused = (error: unknown) => isCiError(error, 'unauthenticated');

async function testAccess() {
  const clock = new FakeClock();
  const cluster = await testCluster({ clock });
  await ensureAdminToken(cluster, neverAborted);
  const access = await AccessControl.open(cluster, neverAborted);
  const newToken = async (expires?: number) => {
    const wanted = { name: 'dev', role: 'runner' as const, createdBy: 'test', ...(expires && { expires }) };
    return (await createToken(cluster, wanted, neverAborted)).token;
  };
  const who = (token: string) => access.authenticate(`Bearer ${token}`, '10.0.0.1');
  return { clock, cluster, access, newToken, who, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
}

describe('tokens', () => {
  test('a token reads back, and any change of one character is noticed without asking anyone', () => {
    const { id, secret, text } = newTokenText('admin');
    assert.match(text, /^sci_a_[0-9a-z]{8}_[0-9A-Za-z]{43}_[0-9a-f]{8}$/);
    assert.deepEqual(parseTokenText(text), { id, secret });
    for (let at = 0; at < text.length; at++) {
      const changed = `${text.slice(0, at)}${text[at] === 'v' ? 'r' : 'v'}${text.slice(at + 1)}`;
      assert.equal(parseTokenText(changed), undefined, changed);
    }
  });

  test('tokens and tickets are hidden in whatever is written to the log', () => {
    const { text, secret } = newTokenText('viewer');
    assert.ok(!redact(`{"authorization":"Bearer ${text}"}`).includes(secret));
    assert.ok(!redact(`ticket.eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoi.c2lnbmF0dXJl`).includes('c2lnbmF0dXJl'));
  });

  test('of nodes that start together, exactly one makes the first admin token', async () => {
    await using cluster = await testCluster();
    const made = await Promise.all(Array.from({ length: 8 }, () => ensureAdminToken(cluster, neverAborted)));
    assert.equal(made.filter(token => token !== undefined).length, 1);
    assert.equal(await ensureAdminToken(cluster, neverAborted), undefined);
    assert.deepEqual(
      (await listTokens(cluster, neverAborted)).map(({ role }) => role),
      ['admin'],
    );
  });

  test('the first admin token is told even when the answer of the store was lost', async () => {
    await using cluster = await testCluster();
    const commit = cluster.store.commit.bind(cluster.store);
    cluster.store.commit = async (...args) => {
      await commit(...args);
      const { CiError } = await import('../../shared/errors.ts');
      return { kind: 'ambiguous', cause: new CiError('ambiguous', 'The answer was lost') };
    };
    const token = await ensureAdminToken(cluster, neverAborted);
    const access = await AccessControl.open(cluster, neverAborted);
    assert.equal((await access.authenticate(`Bearer ${token}`, '')).role, 'admin');
  });

  test('the store has the hash of a token and nothing that would open a door', async () => {
    await using part = await testAccess();
    const secret = parseTokenText(await part.newToken())!.secret;
    const { keys, store } = part.cluster;
    const { records } = await store.range({ prefix: keys.root, limit: 100 }, { signal: neverAborted, timeoutMs: 1000 });
    assert.ok(records.some(({ value }) => value.includes('"hash"')));
    assert.ok(!records.some(({ value }) => value.includes(secret)));
  });

  test('a token that another node has revoked works for ten more seconds at most', async () => {
    await using part = await testAccess();
    const token = await part.newToken();
    await part.who(token);
    await revokeToken(part.cluster, parseTokenText(token)!.id, neverAborted);
    await part.clock.advance(10_001);
    await assert.rejects(part.who(token), isRefused);
  });

  test('a token expires to the millisecond, also while it is remembered', async () => {
    await using part = await testAccess();
    const token = await part.newToken(part.clock.now() + 5000);
    await part.clock.advance(4999);
    assert.equal((await part.who(token)).name, 'dev');
    await part.clock.advance(1);
    await assert.rejects(part.who(token), { code: 'unauthenticated', message: /its token has expired: "dev", at / });
    const guess = `sci_r_${parseTokenText(token)!.id}_${'A'.repeat(43)}`;
    const whole = `${guess}_${crc32(guess).toString(16).padStart(8, '0')}`;
    await assert.rejects(part.who(whole), { code: 'unauthenticated', message: /unknown or revoked$/ });
  });

  test('a token that has just been made works soon at a node that has refused it before', async () => {
    await using part = await testAccess();
    const token = await part.newToken();
    const key = part.cluster.keys.token(parseTokenText(token)!.id);
    const call = { signal: neverAborted, timeoutMs: 1000 };
    const record = (await part.cluster.store.range({ key, limit: 1 }, call)).records[0]!;
    await part.cluster.store.commit({ when: [], then: [{ delete: key }] }, call);
    await assert.rejects(part.who(token), isRefused);
    await part.cluster.store.commit({ when: [], then: [{ put: key, value: record.value }] }, call);
    await part.clock.advance(3001);
    assert.equal((await part.who(token)).role, 'runner');
  });

  test('a record that is not readable as a token opens no door', async () => {
    await using part = await testAccess();
    const token = await part.newToken();
    const put = { put: part.cluster.keys.token(parseTokenText(token)!.id), value: '{"v":1,"role":"admin"}' };
    await part.cluster.store.commit({ when: [], then: [put] }, { signal: neverAborted, timeoutMs: 1000 });
    await assert.rejects(part.who(token), isRefused);
  });
});

describe('tickets and node tokens', () => {
  const principal = { name: 'dev', role: 'runner', token: 'abcdefgh' } as const;

  test('a ticket brings in the one it was made for, once', async () => {
    await using part = await testAccess();
    const { ticket } = await part.access.issueTicket(principal);
    assert.deepEqual(await part.access.useTicket(ticket), principal);
    await assert.rejects(part.access.useTicket(ticket), isRefused);
  });

  test('a ticket of one node is good at another', async () => {
    await using part = await testAccess();
    const other = await AccessControl.open(part.cluster, neverAborted);
    assert.deepEqual(await other.useTicket((await part.access.issueTicket(principal)).ticket), principal);
  });

  test('a ticket is worth nothing after thirty seconds', async () => {
    await using part = await testAccess();
    const { ticket, expires } = await part.access.issueTicket(principal);
    assert.ok(expires - part.clock.now() <= 30_000);
    await part.clock.advance(36_000);
    await assert.rejects(part.access.useTicket(ticket), isRefused);
  });

  test('a ticket is no token, and a node’s token no ticket', async () => {
    await using part = await testAccess();
    const { ticket } = await part.access.issueTicket(principal);
    await assert.rejects(part.who(ticket), isRefused);
    await assert.rejects(part.access.useTicket(await part.access.issueNodeToken(parseNodeId('n1'))), isRefused);
  });

  test('another cluster’s tickets and node tokens are refused', async () => {
    await using part = await testAccess();
    await using elsewhere = await testAccess();
    await assert.rejects(part.access.useTicket((await elsewhere.access.issueTicket(principal)).ticket), isRefused);
    await assert.rejects(part.who(await elsewhere.access.issueNodeToken(parseNodeId('n1'))), isRefused);
  });

  test('a node’s token may look and nothing else, for a minute and the difference of two clocks', async () => {
    await using part = await testAccess();
    const token = await part.access.issueNodeToken(parseNodeId('n1'));
    assert.deepEqual(await part.who(token), { name: 'node n1', role: 'viewer' });
    await part.clock.advance(91_000);
    await assert.rejects(part.who(token), isRefused);
  });

  test('an unsigned or otherwise forged token is refused', async () => {
    await using part = await testAccess();
    const [, payload] = (await part.access.issueNodeToken(parseNodeId('n1'))).split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const hs256 = Buffer.from('{"alg":"HS256"}').toString('base64url');
    for (const forged of [`${none}.${payload}.`, `${hs256}.${payload}.AAAA`, `${none}.${payload}.AAAA`])
      await assert.rejects(part.who(forged), isRefused, forged);
  });
});
