import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CommitGroups, type CommitWay } from '../../node-runtime/store/etcd/commit-groups.ts';
import type { Call, CommitResult, Transaction } from '../../node-runtime/store/store.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { eventually } from '../support/test-tasks.ts';

const call: Call = { signal: neverAborted, timeoutMs: 5000 };
const done: CommitResult = { kind: 'committed', revision: 1 };

function put(key: string, value = '', looksAt: readonly string[] = []): Transaction {
  return { when: looksAt.map(other => ({ key: other, exists: false })), then: [{ put: key, value }] };
}

/** A way to etcd that notes what goes together, by the first key that each changes; the test answers. */
class NotedWay implements CommitWay {
  readonly groups: string[][] = [];
  readonly calls: Call[] = [];
  readonly answers: ((results: readonly CommitResult[] | undefined) => void)[] = [];

  async alone(transaction: Transaction, call: Call): Promise<CommitResult> {
    this.#note([transaction], call);
    call.signal.throwIfAborted();
    return done;
  }

  together(transactions: readonly Transaction[], call: Call): Promise<readonly CommitResult[] | undefined> {
    this.#note(transactions, call);
    return new Promise(resolve => this.answers.push(resolve));
  }

  #note(transactions: readonly Transaction[], call: Call): void {
    this.groups.push(transactions.map(({ then }) => ('put' in then[0]! ? then[0].put : '')));
    this.calls.push(call);
  }
}

describe('CommitGroups', () => {
  test('what is asked for in one turn goes together, and one alone as it is', async () => {
    const way = new NotedWay();
    const groups = new CommitGroups(way, new FakeClock());
    await groups.commit(put('a'), call);
    const both = [groups.commit(put('b'), call), groups.commit(put('c'), call)];
    await eventually('a group', async () => way.answers.length === 1 || undefined);
    way.answers[0]!([done, { kind: 'committed', revision: 2 }]);
    assert.deepEqual(await Promise.all(both), [done, { kind: 'committed', revision: 2 }]);
    assert.deepEqual(way.groups, [['a'], ['b', 'c']]);
  });

  test('transactions that touch the same key do not go together, whether they change it or look at it', async () => {
    const way = new NotedWay();
    const groups = new CommitGroups(way, new FakeClock());
    const all = [put('a'), put('a'), put('b', '', ['a']), put('c', '', ['d']), put('d'), put('e')];
    for (const transaction of all) void groups.commit(transaction, call);
    await eventually('all sent', async () => way.groups.flat().length === all.length || undefined);
    assert.deepEqual(way.groups, [['a', 'c', 'e'], ['a', 'd'], ['b']]);
  });

  test('a group has its limits, in members and in bytes', async () => {
    const way = new NotedWay();
    const groups = new CommitGroups(way, new FakeClock());
    for (let i = 0; i < 40; i++) void groups.commit(put(`small${i}`), call);
    for (let i = 0; i < 3; i++) void groups.commit(put(`large${i}`, 'x'.repeat(20_000)), call);
    await eventually('all sent', async () => way.groups.flat().length === 43 || undefined);
    assert.deepEqual(
      way.groups.map(group => group.length),
      [32, 9, 1, 1],
    );
  });

  test('of a group that is refused each is tried alone, in the time that is left, but for those given up meanwhile', async () => {
    const way = new NotedWay();
    const clock = new FakeClock();
    const groups = new CommitGroups(way, clock);
    const leaving = new AbortController();
    const reason = new Error('the client has gone');
    const gone = groups.commit(put('gone'), { ...call, signal: leaving.signal });
    const stays = groups.commit(put('stays'), call);
    await eventually('a group', async () => way.answers.length === 1 || undefined);
    await clock.advance(2000);
    leaving.abort(reason);
    await assert.rejects(gone, reason);
    way.answers[0]!(undefined);
    assert.deepEqual(await stays, done);
    assert.deepEqual(way.groups, [['gone', 'stays'], ['stays']]);
    assert.equal(way.calls[1]!.timeoutMs, 3000);
  });

  test('a group is given up when nobody waits for it any more', async () => {
    const way = new NotedWay();
    const groups = new CommitGroups(way, new FakeClock());
    const [shared, own] = [new AbortController(), new AbortController()];
    const ended = ['a', 'b'].map(key => groups.commit(put(key), { ...call, signal: shared.signal }));
    ended.push(groups.commit(put('c'), { ...call, signal: own.signal }));
    await eventually('a group', async () => way.answers.length === 1 || undefined);
    shared.abort();
    assert.equal(way.calls[0]!.signal.aborted, false);
    own.abort();
    assert.equal(way.calls[0]!.signal.aborted, true);
    const states = (await Promise.allSettled(ended)).map(({ status }) => status);
    assert.deepEqual(states, ['rejected', 'rejected', 'rejected']);
    way.answers[0]!([done, done, done]);
  });
});
