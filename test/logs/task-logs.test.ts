import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import { BlockRoom } from '../../node-runtime/logs/block-room.ts';
import type { FollowRequest, Logs, LogWriter, ReadFromNode, TaskLogs } from '../../node-runtime/logs/logs.ts';
import { createLogs } from '../../node-runtime/logs/node-logs.ts';
import { createTaskLogs } from '../../node-runtime/logs/task-logs.ts';
import type { Claimant } from '../../node-runtime/queue/claim.ts';
import { completeTask } from '../../node-runtime/queue/complete.ts';
import type { Claim } from '../../node-runtime/queue/records.ts';
import { releaseTask } from '../../node-runtime/queue/release.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { CiError, isCiError } from '../../shared/errors.ts';
import { newTaskId, type TaskId } from '../../shared/ids.ts';
import type { LogEvent } from '../../shared/log.ts';
import type { TaskResult } from '../../shared/result.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { testCluster } from '../support/test-cluster.ts';
import { claim, claimant, passed, submit } from '../support/test-tasks.ts';

interface TestNode {
  readonly who: Claimant;
  readonly logs: Logs;
  readonly taskLogs: TaskLogs;
  /** How others reach it. Whoever replaces it cuts the line. */
  serve: ReadFromNode;
}

/** Nodes that reach each other by their addresses, on one store and in virtual time. */
class Nodes implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly #byAddress = new Map<string, TestNode>();
  #cluster: (Cluster & AsyncDisposable) | undefined;
  history: (id: TaskId) => Promise<TaskResult | undefined> = async () => undefined;

  get cluster(): Cluster {
    return this.#cluster!;
  }

  static async start(): Promise<Nodes> {
    const nodes = new Nodes();
    const cluster = await testCluster();
    nodes.#cluster = { ...cluster, clock: nodes.clock, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() };
    return nodes;
  }

  async add(name: string): Promise<TestNode> {
    const { cluster } = this;
    const who = await claimant(cluster, name);
    const logs = createLogs(cluster);
    const readFromNode: ReadFromNode = (address, request, signal) =>
      this.#byAddress.get(address)!.serve(address, request, signal);
    const history = (id: TaskId) => this.history(id);
    const taskLogs = createTaskLogs({ cluster, logs, instance: who.instance, readFromNode, history });
    const node = { who, logs, taskLogs, serve: (_address, request, signal) => logs.read(request, signal) } as TestNode;
    this.#byAddress.set(who.address, node);
    return node;
  }

  /** Lets time pass for as long as that takes. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = () => {
      isSettled = true;
    };
    promise.then(settled, settled);
    await this.clock.advanceUntil(() => isSettled);
    return promise;
  }

  follow(node: TestNode, request: FollowRequest): Follower {
    return new Follower(node.taskLogs.follow(request, neverAborted));
  }

  async attempt(id: TaskId, node: TestNode): Promise<{ held: Claim; log: LogWriter }> {
    const held = await claim(this.cluster, id, node.who);
    return { held, log: node.logs.open({ task: id, fence: held.fence }, []) };
  }

  async complete({ held, log }: { held: Claim; log: LogWriter }): Promise<void> {
    await this.until(log.finish());
    await completeTask(this.cluster, held, passed(held), neverAborted);
  }

  /** Its lock is gone, as after 30 s without a renewal. */
  async die(node: TestNode): Promise<void> {
    node.serve = unreachable;
    await this.cluster.store.revokeLease(node.who.lease, { signal: neverAborted, timeoutMs: 3000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster?.[Symbol.asyncDispose]();
  }
}

/** Reads a task's log into a transcript: `1@n1: ` begins an attempt, `[text]` is a mark, `|finished` an end. */
class Follower {
  transcript = '';
  position: { fence: number; offset: number } | undefined;
  readonly done: Promise<void>;

  constructor(events: AsyncIterable<LogEvent>) {
    this.done = this.#read(events);
    this.done.catch(() => undefined);
  }

  async #read(events: AsyncIterable<LogEvent>): Promise<void> {
    for await (const event of events) {
      if (event.kind === 'attempt') {
        this.transcript += `${event.attempt}@${event.node}: `;
        this.position = { fence: event.fence, offset: event.offset };
      } else if (event.kind === 'bytes') {
        assert.equal(event.offset, this.position!.offset);
        this.transcript += Buffer.from(event.bytes).toString('latin1');
        this.position!.offset += event.bytes.length;
      } else if (event.kind === 'mark') this.transcript += `[${event.mark.text}]`;
      else this.transcript += `|${event.reason}\n`;
    }
  }
}

const unreachable: ReadFromNode = (address: string) => {
  throw new CiError('unavailable', `Cannot read log as the node cannot be reached: ${address}`);
};

const isNotFound = (error: unknown) => isCiError(error, 'not-found');

test('a follower waits for the first attempt, sees what it prints and ends with the task', async () => {
  await using nodes = await Nodes.start();
  const [runs, asked] = [await nodes.add('n1'), await nodes.add('n2')];
  const id = await submit(nodes.cluster);
  const followers = [runs, asked].map(node => nodes.follow(node, { task: id, follow: true }));
  const attempt = await nodes.attempt(id, runs);
  attempt.log.mark('step-started', 'make', 0);
  await attempt.log.write(Buffer.from('hello\n'));
  for (const follower of followers) await nodes.clock.advanceUntil(() => follower.transcript.includes('hello'));
  await attempt.log.write(Buffer.from('bye\n'));
  await nodes.complete(attempt);
  for (const follower of followers) {
    await nodes.until(follower.done);
    assert.equal(follower.transcript, '1@n1: [make]hello\nbye\n|finished\n');
  }
});

test('output reaches a follower at another node at once, not when it is stored', async () => {
  await using nodes = await Nodes.start();
  const [runs, asked] = [await nodes.add('n1'), await nodes.add('n2')];
  const id = await submit(nodes.cluster);
  const { log } = await nodes.attempt(id, runs);
  await log.write(Buffer.from('a'));
  const follower = nodes.follow(asked, { task: id, follow: true });
  await nodes.clock.advanceUntil(() => follower.transcript.endsWith('a'));
  const time = nodes.clock.monotonic();
  await log.write(Buffer.from('b'));
  await nodes.clock.advanceUntil(() => follower.transcript.endsWith('ab'));
  assert.equal(nodes.clock.monotonic(), time);
});

test('when a node dies its stored log is read to the end, and then the next attempt’s', async () => {
  await using nodes = await Nodes.start();
  const [first, second, asked] = [await nodes.add('n1'), await nodes.add('n2'), await nodes.add('n3')];
  const id = await submit(nodes.cluster);
  const { log } = await nodes.attempt(id, first);
  log.mark('note', 'begin');
  await log.write(Buffer.from('stored.'));
  await nodes.clock.advance(600);
  const follower = nodes.follow(asked, { task: id, follow: true });
  await nodes.clock.advanceUntil(() => follower.transcript.endsWith('stored.'));
  await nodes.die(first);
  const attempt = await nodes.attempt(id, second);
  await attempt.log.write(Buffer.from('again.'));
  await nodes.complete(attempt);
  await nodes.until(follower.done);
  assert.equal(follower.transcript, '1@n1: [begin]stored.|lost\n2@n2: again.|finished\n');
});

test('a node that cannot be reached for a while is read from the store, and then from itself again', async () => {
  await using nodes = await Nodes.start();
  const [runs, asked] = [await nodes.add('n1'), await nodes.add('n2')];
  const id = await submit(nodes.cluster);
  const attempt = await nodes.attempt(id, runs);
  const reachable = runs.serve;
  runs.serve = unreachable;
  const follower = nodes.follow(asked, { task: id, follow: true });
  for (const part of ['a', 'b', 'c']) {
    await attempt.log.write(Buffer.from(part));
    await nodes.clock.advanceUntil(() => follower.transcript.endsWith(part));
  }
  let asks = 0;
  runs.serve = (...request) => {
    asks++;
    return reachable(...request);
  };
  await nodes.clock.advanceUntil(() => asks > 0);
  await attempt.log.write(Buffer.from('d'));
  await nodes.complete(attempt);
  await nodes.until(follower.done);
  assert.equal(follower.transcript, '1@n1: abcd|finished\n');
});

test('a node that says nothing more once its claim is gone is not waited for', async () => {
  await using nodes = await Nodes.start();
  const [first, second, asked] = [await nodes.add('n1'), await nodes.add('n2'), await nodes.add('n3')];
  const id = await submit(nodes.cluster);
  await nodes.attempt(id, first);
  const follower = nodes.follow(asked, { task: id, follow: true });
  await nodes.clock.advanceUntil(() => follower.transcript !== '');
  // The node is paused: the connection stands, and nothing comes.
  await nodes.cluster.store.revokeLease(first.who.lease, { signal: neverAborted, timeoutMs: 3000 });
  const attempt = await nodes.attempt(id, second);
  await nodes.complete(attempt);
  await nodes.until(follower.done);
  assert.equal(follower.transcript, '1@n1: |lost\n2@n2: |finished\n');
});

test('an attempt that was handed back is finished, and the next one follows', async () => {
  await using nodes = await Nodes.start();
  const [first, second] = [await nodes.add('n1'), await nodes.add('n2')];
  const id = await submit(nodes.cluster);
  const { held, log } = await nodes.attempt(id, first);
  await log.write(Buffer.from('half'));
  const follower = nodes.follow(second, { task: id, follow: true });
  await nodes.clock.advanceUntil(() => follower.transcript.endsWith('half'));
  await nodes.until(log.finish());
  await releaseTask(nodes.cluster, held, 'drained', 'The node drains', neverAborted);
  const attempt = await nodes.attempt(id, second);
  await attempt.log.write(Buffer.from('whole'));
  await nodes.complete(attempt);
  await nodes.until(follower.done);
  assert.equal(follower.transcript, '1@n1: half|finished\n2@n2: whole|finished\n');
});

test('however often the line is cut, a reader gets every byte and mark once, and resumes anywhere at the exact byte', async () => {
  const parts = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant('mark' as const)), {
    maxLength: 40,
    size: 'max',
  });
  const cuts = fc.array(fc.nat(12), { maxLength: 20, size: 'max' });
  await fc.assert(
    fc.asyncProperty(parts, cuts, fc.nat(400), async (script, lengths, cutAt) => {
      await using nodes = await Nodes.start();
      const [runs, asked, other] = [await nodes.add('n1'), await nodes.add('n2'), await nodes.add('n3')];
      const id = await submit(nodes.cluster);
      const attempt = await nodes.attempt(id, runs);
      const whole = runs.serve;
      runs.serve = (...request) => cutOff(whole(...request), lengths.pop() ?? Number.POSITIVE_INFINITY);
      const follower = nodes.follow(asked, { task: id, follow: true });
      let bytes = '';
      let expected = '';
      for (const [i, part] of script.entries()) {
        const text = part === 'mark' ? `[m${i}]` : String.fromCharCode(97 + (i % 26)).repeat(part);
        expected += text;
        if (part === 'mark') attempt.log.mark('note', `m${i}`);
        else await attempt.log.write(Buffer.from(text));
        if (part !== 'mark') bytes += text;
        await nodes.clock.advance((i * 37) % 900);
      }
      await nodes.complete(attempt);
      await nodes.until(follower.done);
      assert.equal(follower.transcript, `1@n1: ${expected}|finished\n`);
      const offset = cutAt % (bytes.length + 1);
      const rest = nodes.follow(other, { task: id, from: { fence: attempt.held.fence, offset }, follow: true });
      await nodes.until(rest.done);
      assert.equal(rest.transcript.replace(/\[m\d+\]/g, ''), `1@n1: ${bytes.slice(offset)}|finished\n`);
    }),
    { numRuns: 25 },
  );
});

test('without following one gets the attempt under way as far as it is, or the completing one', async () => {
  await using nodes = await Nodes.start();
  const [first, second, asked] = [await nodes.add('n1'), await nodes.add('n2'), await nodes.add('n3')];
  const id = await submit(nodes.cluster);
  const now = async (request: Partial<FollowRequest> = {}) => {
    const follower = nodes.follow(asked, { task: id, follow: false, ...request });
    await nodes.until(follower.done);
    return follower.transcript;
  };
  assert.equal(await now(), '');
  const { log } = await nodes.attempt(id, first);
  await log.write(Buffer.from('one'));
  assert.equal(await now(), '1@n1: one');
  await nodes.clock.advance(600);
  await nodes.die(first);
  assert.equal(await now(), '1@n1: one|lost\n');
  const attempt = await nodes.attempt(id, second);
  await attempt.log.write(Buffer.from('two'));
  assert.equal(await now(), '2@n2: two');
  await nodes.complete(attempt);
  assert.equal(await now(), '2@n2: two|finished\n');
  assert.equal(await now({ attempt: 1 }), '1@n1: one|lost\n');
  assert.equal(await now({ attempt: 2, tail: 2 }), '2@n2: wo|finished\n');
  assert.equal(await now({ from: { fence: attempt.held.fence, offset: 1 } }), '2@n2: wo|finished\n');
  await assert.rejects(now({ attempt: 3 }), isNotFound);
  await assert.rejects(now({ from: { fence: 1, offset: 0 } }), isNotFound);
});

test('one attempt that was asked for is followed to its own end only', async () => {
  await using nodes = await Nodes.start();
  const [first, second] = [await nodes.add('n1'), await nodes.add('n2')];
  const id = await submit(nodes.cluster);
  const { log } = await nodes.attempt(id, first);
  await log.write(Buffer.from('one'));
  await nodes.clock.advance(600);
  const follower = nodes.follow(second, { task: id, attempt: 1, follow: true });
  await nodes.die(first);
  await nodes.until(follower.done);
  assert.equal(follower.transcript, '1@n1: one|lost\n');
});

test('the log of a task that has left the coordination store is found by its history', async () => {
  await using nodes = await Nodes.start();
  const [runs, asked] = [await nodes.add('n1'), await nodes.add('n2')];
  const id = await submit(nodes.cluster);
  const attempt = await nodes.attempt(id, runs);
  await attempt.log.write(Buffer.from('long ago'));
  await nodes.complete(attempt);
  const { store, keys } = nodes.cluster;
  await store.commit({ when: [], then: [{ delete: keys.completed(id) }] }, { signal: neverAborted, timeoutMs: 3000 });
  nodes.history = async asked => (asked === id ? passed(attempt.held) : undefined);
  const follower = nodes.follow(asked, { task: id, follow: true });
  await nodes.until(follower.done);
  assert.equal(follower.transcript, '1@n1: long ago|finished\n');
});

test('a task that never was is an error', async () => {
  await using nodes = await Nodes.start();
  const follower = nodes.follow(await nodes.add('n1'), { task: newTaskId(5, 0, Math.random), follow: true });
  await assert.rejects(nodes.until(follower.done), isNotFound);
});

test('following ends when its signal fires, and leaves nothing running', async () => {
  await using nodes = await Nodes.start();
  const [runs, asked] = [await nodes.add('n1'), await nodes.add('n2')];
  const [queued, running] = [await submit(nodes.cluster), await submit(nodes.cluster)];
  await nodes.attempt(running, runs);
  for (const [task, node] of [
    [queued, asked],
    [running, asked],
    [running, runs],
  ] as const) {
    const stop = new AbortController();
    const follower = new Follower(node.taskLogs.follow({ task, follow: true }, stop.signal));
    await nodes.clock.advance(50);
    stop.abort(new Error('enough'));
    await assert.rejects(nodes.until(follower.done), /enough/);
  }
  assert.equal(nodes.clock.sleeping, 0);
});

async function* cutOff<T>(events: AsyncIterable<T>, count: number): AsyncIterable<T> {
  let left = count;
  if (left === 0) throw new CiError('unavailable', 'Cannot read log as the line was cut');
  for await (const event of events) {
    yield event;
    if (--left === 0) throw new CiError('unavailable', 'Cannot read log as the line was cut');
  }
}

test('of logs that other nodes send, no more are in hand at once than the reader has places', async () => {
  await using nodes = await Nodes.start();
  const [runs, asked] = [await nodes.add('n1'), await nodes.add('n2')];
  const room = new BlockRoom(1);
  const open = async (text: string) => {
    const id = await submit(nodes.cluster);
    const { log } = await nodes.attempt(id, runs);
    await log.write(Buffer.from(text));
    const events = asked.taskLogs.follow({ task: id, follow: true, room }, neverAborted)[Symbol.asyncIterator]();
    assert.equal((await nodes.until(events.next())).value.kind, 'attempt');
    return events;
  };
  const [still, waiting] = [await open('first'), await open('second')];
  assert.equal((await nodes.until(still.next())).value.kind, 'bytes');
  const [next, wanted] = [waiting.next(), room.untilWanted(neverAborted)];
  await nodes.until(wanted);
  // Whoever stands still lets go, as the place is wanted.
  await nodes.until(still.return!());
  const event = (await nodes.until(next)).value;
  assert.equal(event.kind === 'bytes' && Buffer.from(event.bytes).toString(), 'second');
});
