import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { revokeToken } from '../../node-runtime/cluster/tokens.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { ErrorBody, Role, type Route, type RouteName, routes } from '../../shared/api.ts';
import { ask, type TestApi, testApi } from '../support/test-api.ts';

const RANK = { public: 0, viewer: 1, runner: 2, admin: 3 };

describe('every route, by who asks', () => {
  let api: TestApi;
  before(async () => {
    api = await testApi();
  });
  after(() => api[Symbol.asyncDispose]());

  /** Asks with nothing but a token: what the route says of it afterwards is another matter. */
  const refusal = async (name: RouteName, token?: string) => {
    const { method, path }: Route = routes[name];
    const address = `${api.url}${path.replace(/:[a-z]+/g, 'x').replace('*', 'x')}`;
    const { status, json } = await ask(address, { method, ...(token !== undefined && { token }) });
    return status === 401 || (status === 403 && json.error?.message.includes('role')) ? json.error?.code : 'let in';
  };

  for (const [name, { access }] of Object.entries(routes) as [RouteName, Route][]) {
    test(`${name} answers those whose role is at least ${access}, and nobody else`, async () => {
      const seen: Record<string, unknown> = { nobody: await refusal(name) };
      for (const role of Role.options) seen[role] = await refusal(name, await api.token(role));
      const expected: Record<string, unknown> = { nobody: access === 'public' ? 'let in' : 'unauthenticated' };
      for (const role of Role.options) expected[role] = RANK[role] >= RANK[access] ? 'let in' : 'forbidden';
      assert.deepEqual(seen, expected);
    });
  }

  const guarded = (Object.keys(routes) as RouteName[]).filter(name => routes[name].access !== 'public');

  test('an expired token opens no route', async () => {
    const expired = await api.token('admin', Date.now() - 1);
    for (const name of guarded) assert.equal(await refusal(name, expired), 'unauthenticated', name);
  });

  test('a revoked token opens no route', async () => {
    const token = await api.token('admin');
    await revokeToken(api.cluster, token.split('_')[2]!, neverAborted);
    for (const name of guarded) assert.equal(await refusal(name, token), 'unauthenticated', name);
  });

  test('a token that was revoked at this node stops working there at once', async () => {
    const token = await api.token('viewer');
    assert.equal(await refusal('cluster', token), 'let in');
    const { status } = await ask(`${api.url}/v1/tokens/${token.split('_')[2]}`, {
      method: 'DELETE',
      token: api.adminToken,
    });
    assert.equal(status, 204);
    assert.equal(await refusal('cluster', token), 'unauthenticated');
  });

  test('a token with one character changed is refused', async () => {
    const token = await api.token('admin');
    const changed = token.replace(/(.{20})(.)/, (_, start, char) => start + (char === 'a' ? 'b' : 'a'));
    assert.notEqual(changed, token);
    assert.equal(await refusal('cluster', changed), 'unauthenticated');
  });

  test('every refusal has the shape of an error and names itself in a header', async () => {
    for (const name of guarded) {
      const { method, path }: Route = routes[name];
      const { headers, json } = await ask(`${api.url}${path}`, { method });
      const { error } = ErrorBody.parse(json);
      assert.equal(headers.get('x-request-id'), error.requestId);
    }
  });
});
