import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseTokenText } from '../../node-runtime/cluster/token-text.ts';
import { revokeToken } from '../../node-runtime/cluster/tokens.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { INITIAL_LOG_CREDIT, SOCKET_PROTOCOL } from '../../shared/socket-protocol.ts';
import { newTaskId } from '../../shared/ids.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { testApi } from '../support/test-api.ts';
import { openSocket, upgradeStatus } from '../support/test-socket.ts';
import { eventually, submit } from '../support/test-tasks.ts';

const task = newTaskId(5, Date.now(), Math.random);

describe('opening a WebSocket', () => {
  test('takes a token or a ticket, and a ticket once', async () => {
    await using api = await testApi();
    const authorization = `Bearer ${await api.token('viewer')}`;
    const { ticket } = await (await api.client('viewer')).call('createTicket', {}, neverAborted);
    const protocols = [SOCKET_PROTOCOL, `ticket.${ticket}`];
    assert.equal(await upgradeStatus(api.url, {}), 401);
    assert.equal(await upgradeStatus(api.url, { headers: { authorization } }), 101);
    assert.equal(await upgradeStatus(api.url, { protocols }), 101);
    assert.equal(await upgradeStatus(api.url, { protocols }), 401);
  });

  test('is refused to pages of other origins and under other host names, also with a good token', async () => {
    await using api = await testApi();
    const authorization = `Bearer ${await api.token('admin')}`;
    assert.equal(await upgradeStatus(api.url, { headers: { authorization, origin: 'https://evil.test' } }), 403);
    assert.equal(await upgradeStatus(api.url, { headers: { authorization, host: 'evil.test' } }), 421);
    assert.equal(await upgradeStatus(api.url, { headers: { authorization, origin: api.url } }), 101);
  });

  test('with a ticket of a token that was revoked meanwhile is refused', async () => {
    await using api = await testApi();
    const token = await api.token('viewer');
    const principal = await api.access.authenticate(`Bearer ${token}`, '');
    const { ticket } = await api.access.issueTicket(principal);
    await revokeToken(api.cluster, principal.token!, neverAborted);
    api.access.forget(principal.token!);
    assert.equal(await upgradeStatus(api.url, { protocols: [SOCKET_PROTOCOL, `ticket.${ticket}`] }), 401);
  });
});

describe('what a client says', () => {
  test('that is no message is answered with what is wrong, and the socket goes on', async () => {
    await using api = await testApi();
    const socket = await openSocket(api.url, await api.token('viewer'));
    socket.say('{"type":');
    socket.say({ type: 'subscribe', id: 1, topic: 'weather' });
    socket.socket.send(Buffer.from([1, 2, 3]));
    socket.say({ type: 'subscribe', id: 1, topic: 'nodes' });
    await socket.heard('snapshot');
    const errors = socket.messages.filter(message => message.type === 'error');
    assert.deepEqual(
      errors.map(({ code }) => code),
      ['invalid', 'invalid', 'invalid'],
    );
    socket.socket.terminate();
  });

  test('wrong ten times ends the socket', async () => {
    await using api = await testApi();
    const socket = await openSocket(api.url, await api.token('viewer'));
    for (let count = 0; count < 10; count++) socket.say('no');
    assert.equal(await socket.closed, 1008);
  });

  test('longer than 64 KiB ends the socket', async () => {
    await using api = await testApi();
    const socket = await openSocket(api.url, await api.token('viewer'));
    socket.say('x'.repeat(70_000));
    assert.equal(await socket.closed, 1009);
  });

  test('too fast to be a person or a program of ours ends the socket', async () => {
    await using api = await testApi();
    const socket = await openSocket(api.url, await api.token('viewer'));
    for (let count = 0; count < 20_000; count++) socket.say({ type: 'credit', id: 7, bytes: 1 });
    assert.equal(await socket.closed, 1008);
  });

  test('asks for at most 64 subscriptions, each under an id of its own', async () => {
    await using api = await testApi();
    const socket = await openSocket(api.url, await api.token('viewer'));
    api.logs.attempt(1);
    for (let id = 0; id < 65; id++) socket.say({ type: 'subscribe', id, topic: 'log', task });
    socket.say({ type: 'subscribe', id: 3, topic: 'log', task });
    const codes = await eventually('two complaints', () => {
      const errors = socket.messages.filter(message => message.type === 'error');
      return errors.length === 2 ? errors.map(({ code }) => code) : undefined;
    });
    assert.deepEqual(codes, ['rate-limited', 'conflict']);
    socket.socket.terminate();
  });
});

describe('subscriptions', () => {
  test('to tasks begin with a snapshot and tell each change', async () => {
    await using api = await testApi();
    const first = await submit(api.cluster, { name: 'first' });
    const socket = await openSocket(api.url, await api.token('viewer'));
    socket.say({ type: 'subscribe', id: 1, topic: 'tasks' });
    assert.deepEqual(
      (await socket.heard('snapshot')).tasks?.map(({ id }) => id),
      [first],
    );
    const second = await submit(api.cluster, { name: 'second' });
    const { task: changed } = await socket.heard('changed');
    assert.deepEqual([changed?.id, changed?.name, changed?.state], [second, 'second', 'queued']);
    socket.socket.terminate();
  });

  test('to nodes tell who comes, changes and goes', async () => {
    await using api = await testApi();
    const key = `${api.cluster.keys.members}n7`;
    const call = { signal: neverAborted, timeoutMs: 3000 };
    const member = (draining: boolean) =>
      JSON.stringify({
        v: 1,
        node: 'n7',
        instance: 'i',
        address: 'http://n7',
        slots: 1,
        labels: [],
        version: '0',
        started: 0,
        draining,
        isolation: 'none',
      });
    const socket = await openSocket(api.url, await api.token('viewer'));
    socket.say({ type: 'subscribe', id: 1, topic: 'nodes' });
    assert.deepEqual((await socket.heard('snapshot')).nodes, []);
    const told = () =>
      socket.messages.flatMap(message => (message.type === 'changed' ? (message.gone ?? message.node?.draining) : []));
    await api.cluster.store.commit({ when: [], then: [{ put: key, value: member(false) }] }, call);
    await eventually('the node', () => told().length === 1 || undefined);
    await api.cluster.store.commit({ when: [], then: [{ put: key, value: member(true) }] }, call);
    await eventually('its change', () => told().length === 2 || undefined);
    await api.cluster.store.commit({ when: [], then: [{ delete: key }] }, call);
    await eventually('its departure', () => told().length === 3 || undefined);
    assert.deepEqual(told(), [false, true, 'n7']);
    socket.socket.terminate();
  });

  test('to a log that is not there end with an error that says so', async () => {
    await using api = await testApi();
    const socket = await openSocket(api.url, await api.token('viewer'));
    socket.say({ type: 'subscribe', id: 5, topic: 'log', task, follow: false });
    const { id, code } = await socket.heard('error');
    assert.deepEqual([id, code], [5, 'not-found']);
    socket.socket.terminate();
  });

  test('to a log give no byte more than the client has given credit for', async () => {
    await using api = await testApi();
    api.logs.attempt(1);
    for (let count = 0; count < 40; count++) api.logs.print(Buffer.alloc(262_144, count));
    const socket = await openSocket(api.url, await api.token('viewer'));
    const got = () => socket.frames.reduce((sum, { bytes }) => sum + bytes.length, 0);
    socket.say({ type: 'subscribe', id: 1, topic: 'log', task });
    await eventually('the first credit used up', () => got() === INITIAL_LOG_CREDIT || undefined);
    socket.say({ type: 'credit', id: 1, bytes: 1000 });
    await eventually('a little more', () => got() === INITIAL_LOG_CREDIT + 1000 || undefined);
    // A message that is answered after whatever else was on its way.
    socket.say({ type: 'subscribe', id: 2, topic: 'nodes' });
    await socket.heard('snapshot');
    assert.equal(got(), INITIAL_LOG_CREDIT + 1000);
    // The node has read one part beyond what it may send, and waits with it.
    assert.ok(api.logs.taken <= INITIAL_LOG_CREDIT + 2 * 262_144, `${api.logs.taken} bytes taken`);
    socket.socket.terminate();
  });

  test('of a client that gives credit and reads nothing cost the node a bounded buffer', async () => {
    await using api = await testApi();
    api.logs.attempt(1);
    const part = Buffer.alloc(262_144, 1);
    for (let count = 0; count < 256; count++) api.logs.print(part);
    const socket = await openSocket(api.url, await api.token('viewer'));
    socket.socket.pause();
    for (let id = 0; id < 4; id++) {
      socket.say({ type: 'subscribe', id, topic: 'log', task });
      socket.say({ type: 'credit', id, bytes: 16_777_216 });
    }
    let before = -1;
    await eventually('the node to stop reading', async () => {
      const isStill = api.logs.taken > 0 && api.logs.taken === before;
      before = api.logs.taken;
      await new Promise(resolve => setTimeout(resolve, 200));
      return isStill || undefined;
    });
    // What the kernel's buffers of both ends hold, one buffer of ours, and one part for each subscription.
    assert.ok(api.logs.taken < 16_000_000, `${api.logs.taken} bytes taken`);
    socket.socket.terminate();
  });
});

describe('the life of a socket', () => {
  test('ends when its client has given no sign of life for 40 s', async () => {
    const clock = new FakeClock();
    await using api = await testApi({ clock });
    const socket = await openSocket(api.url, await api.token('viewer'));
    // A client whose machine has gone: nothing of what it is sent is answered.
    socket.socket.pause();
    for (let count = 0; count < 10; count++) await clock.advance(5000);
    socket.socket.resume();
    assert.equal(await socket.closed, 1006);
  });

  test('goes on as long as the client answers, with a heartbeat every 15 s', async () => {
    const clock = new FakeClock();
    await using api = await testApi({ clock });
    const socket = await openSocket(api.url, await api.token('viewer'));
    const beats = () => socket.messages.filter(({ type }) => type === 'heartbeat').length;
    for (let round = 1; round <= 8; round++) {
      for (let count = 0; count < 3; count++) await clock.advance(5000);
      await eventually('a heartbeat', () => beats() >= round || undefined);
      await settle();
    }
    assert.equal(socket.socket.readyState, socket.socket.OPEN);
    socket.socket.terminate();
  });

  test('ends when its token is revoked, within fifteen seconds', async () => {
    const clock = new FakeClock();
    await using api = await testApi({ clock });
    const token = await api.token('viewer');
    const socket = await openSocket(api.url, token);
    await revokeToken(api.cluster, parseTokenText(token)!.id, neverAborted);
    await clock.advance(15_000);
    assert.equal(await socket.closed, 4401);
  });

  test('ends when its token expires', async () => {
    const clock = new FakeClock();
    await using api = await testApi({ clock });
    const socket = await openSocket(api.url, await api.token('viewer', clock.now() + 60_000));
    await clock.advance(55_000);
    assert.equal(socket.socket.readyState, socket.socket.OPEN);
    await clock.advance(10_000);
    assert.equal(await socket.closed, 4401);
  });

  test('ends at once when the node stops, so that its client goes elsewhere', async () => {
    await using api = await testApi();
    const socket = await openSocket(api.url, await api.token('viewer'));
    await api.server.stop({ graceMs: 1000 });
    assert.equal(await socket.closed, 1001);
  });

  test('leaves nothing behind: subscriptions and sockets are counted to zero', async () => {
    await using api = await testApi();
    api.logs.attempt(1);
    const socket = await openSocket(api.url, await api.token('viewer'));
    for (const [id, topic] of ['tasks', 'nodes', 'log'].entries()) socket.say({ type: 'subscribe', id, topic, task });
    await eventually('the subscriptions', async () => (await count(api, 'subscriptions')) === 3 || undefined);
    socket.socket.terminate();
    await eventually('their end', async () => (await count(api, 'subscriptions')) === 0 || undefined);
    assert.equal(await count(api, 'sockets'), 0);
  });
});

async function count(api: Awaited<ReturnType<typeof testApi>>, name: 'sockets' | 'subscriptions'): Promise<number> {
  const { values } = await api.metrics[name].get();
  return values.reduce((sum, { value }) => sum + value, 0);
}
