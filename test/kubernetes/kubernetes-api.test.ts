import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubernetesApi } from '../../node-runtime/kubernetes/kubernetes-api.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { KubernetesServer } from '../support/kubernetes-server.ts';
import { shippedRole } from '../support/rbac.ts';
import { eventually } from '../support/test-tasks.ts';

const call = { signal: neverAborted };
const ROLES = { ci: [shippedRole('task-pods')] };
const PODS = '/api/v1/namespaces/ci/pods';

async function stage() {
  const server = await KubernetesServer.start();
  const api = new KubernetesApi(server.account('node', ROLES), new FakeClock());
  server.put('pods', 'one', {});
  return { server, api, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

test('a request whose token is replaced while it is on its way is made anew with the next one', async () => {
  await using it = await stage();
  it.server.onRequest = () => {
    it.server.onRequest = () => undefined;
    it.server.account('node', ROLES);
  };
  const pod = (await it.api.get(`${PODS}/one`, call)) as { metadata: { name: string } };
  assert.equal(pod.metadata.name, 'one');
  assert.deepEqual(
    it.server.seen.map(({ status }) => status),
    [401, 200],
  );
});

test('a token that is refused, and is still the one in the pod, is not sent twice', async () => {
  await using it = await stage();
  it.server.failure = 401;
  await assert.rejects(it.api.get(`${PODS}/one`, call), { code: 'unauthenticated' });
  assert.equal(it.server.seen.length, 1);
});

test('a watch gives its events as they come, and ends as Kubernetes ends it', async () => {
  await using it = await stage();
  const events = await it.api.watch(`${PODS}?watch=1&resourceVersion=0`, call);
  const types: unknown[] = [];
  const reading = (async () => {
    for await (const event of events) types.push((event as { type: string }).type);
  })();
  await eventually('it is told of the pod that is there', () => types.length === 1 || undefined);
  it.server.patch('pods', 'one', { status: { phase: 'Running' } });
  it.server.delete('pods', 'one');
  await eventually('it is told of its end', () => types.length === 3 || undefined);
  it.server.endWatches('in order');
  await reading;
  assert.deepEqual(types, ['ADDED', 'MODIFIED', 'DELETED']);
});

test('a watch that is broken off in the middle of an event is told as one that may be begun anew', async () => {
  await using it = await stage();
  const events = await it.api.watch(`${PODS}?watch=1&resourceVersion=0`, call);
  const reading = Array.fromAsync(events);
  it.server.endWatches('broken off');
  await assert.rejects(reading, { code: 'unavailable' });
});

test('a watch from a version that is forgotten is refused as gone', async () => {
  await using it = await stage();
  it.server.forget('status');
  await assert.rejects(it.api.watch(`${PODS}?watch=1&resourceVersion=1`, call), { code: 'gone' });
});

for (const hangs of ['before it answers', 'in a refusal'] as const)
  test(`a server that hangs ${hangs} is given up in time, by requests and by watches`, {
    timeout: 20_000,
  }, async () => {
    await using it = await stage();
    const api = new KubernetesApi(it.server.account('node', ROLES), systemClock);
    it.server.hangs = hangs;
    const soon = { ...call, timeoutMs: 300 };
    await assert.rejects(api.get(`${PODS}/one`, soon), { code: 'unavailable', message: /does not answer/ });
    await assert.rejects(api.watch(`${PODS}?watch=1&resourceVersion=0`, soon), { code: 'unavailable' });
  });

test('a watch goes on for longer than Kubernetes may take to agree to it', async () => {
  await using it = await stage();
  const api = new KubernetesApi(it.server.account('node', ROLES), systemClock);
  const events = await api.watch(`${PODS}?watch=1&resourceVersion=0`, { ...call, timeoutMs: 2000 });
  const reading = Array.fromAsync(events);
  await systemClock.sleep(2500, neverAborted);
  it.server.delete('pods', 'one');
  it.server.endWatches('in order');
  assert.equal((await reading).length, 2);
});
