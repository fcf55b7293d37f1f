import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import type { Duplex } from 'node:stream';
import { encodeFrame, FrameReader } from '../../../node-runtime/runner/supervisor/frames.ts';
import { NumberPool } from '../../../node-runtime/runner/supervisor/number-pool.ts';
import { RenewalWatch } from '../../../node-runtime/runner/supervisor/renewal-watch.ts';
import { Standstill } from '../../../node-runtime/runner/supervisor/standstill.ts';
import type { LeaseId } from '../../../node-runtime/store/store.ts';
import { type Clock, type Moment, momentOf } from '../../../node-runtime/system/clock.ts';
import { LEASE, PATH, SUPERVISE } from './supervised.ts';

describe('FrameReader', () => {
  it('gives messages back as they were, wherever their bytes are cut', () => {
    const messages = [{ kind: 'renewed', sent: { monotonic: 1.5, wall: 2 } }, 'ü', { deep: [1, [2, null]] }, ''];
    const bytes = Buffer.concat(messages.map(encodeFrame));
    for (let size = 1; size <= bytes.length; size++) {
      const reader = new FrameReader();
      const read: unknown[] = [];
      for (let at = 0; at < bytes.length; at += size) read.push(...reader.read(bytes.subarray(at, at + size)));
      assert.deepEqual(read, messages);
    }
  });

  it('refuses a frame longer than any message', () => {
    assert.throws(() => [...new FrameReader().read(Buffer.from('GET / HTTP/1.1\r\n'))], /frame of \d+ bytes/);
  });
});

describe('a supervisor process', () => {
  const garbage = {
    'a frame that is too long': Buffer.from('GET / HTTP/1.1\r\n'),
    'a frame that is no JSON': Buffer.from('\0\0\0\x04{{{{'),
    'nothing but the end': Buffer.alloc(0),
  };
  for (const [what, bytes] of Object.entries(garbage))
    it(`ends when it is sent ${what}`, async t => {
      const child = startProcess(t);
      const channel = child.stdio[3] as Duplex;
      channel.on('error', () => undefined);
      if (bytes.length > 0) channel.write(bytes);
      else channel.end();
      const [code] = await once(child, 'exit');
      assert.equal(code, 0);
    });

  it('answers a request that makes no sense by saying so, and goes on', async t => {
    const child = startProcess(t);
    const channel = child.stdio[3] as Duplex;
    const replies = readReplies(channel);
    channel.write(encodeFrame({ kind: 'kill', id: 1, sandbox: 99 }));
    assert.deepEqual((await replies.next()).value, {
      kind: 'failed',
      id: 1,
      code: 'unavailable',
      message: 'Cannot find sandbox 99',
    });
    channel.write(encodeFrame({ kind: 'dance', id: 2 }));
    const answer = (await replies.next()).value as { kind: string; message: string };
    assert.equal(answer.kind, 'failed');
    assert.match(answer.message, /dance/);
    channel.end();
    await once(child, 'exit');
  });
});

const LIMIT_MS = 20_000;
const OTHER = '43' as LeaseId;

function watching(): { readonly clock: SettableClock; readonly watch: RenewalWatch } {
  const clock = new SettableClock();
  return { clock, watch: new RenewalWatch(clock, LIMIT_MS) };
}

function ago(clock: Clock, ms: number): Moment {
  return { monotonic: clock.monotonic() - ms, wall: clock.now() - ms };
}

describe('RenewalWatch', () => {
  it('takes a lease for alive for as long after its last renewal was sent as the rule says', () => {
    const { clock, watch } = watching();
    clock.pass(5000);
    watch.renewed({ lease: LEASE, sent: ago(clock, 3000) });
    clock.pass(LIMIT_MS - 3000);
    assert.equal(watch.isAlive(LEASE), true);
    clock.pass(1);
    assert.equal(watch.isAlive(LEASE), false);
  });

  it('takes no lease for alive but the one that was renewed last', () => {
    const { clock, watch } = watching();
    assert.equal(watch.isAlive(LEASE), false);
    watch.renewed({ lease: LEASE, sent: ago(clock, 0) });
    assert.deepEqual([watch.isAlive(LEASE), watch.isAlive(OTHER)], [true, false]);
    clock.pass(1);
    watch.renewed({ lease: OTHER, sent: ago(clock, 0) });
    assert.deepEqual([watch.isAlive(LEASE), watch.isAlive(OTHER)], [false, true]);
  });

  it('counts the time that the machine slept, in which only the calendar went on', () => {
    const { clock, watch } = watching();
    watch.renewed({ lease: LEASE, sent: ago(clock, 0) });
    clock.wall += LIMIT_MS + 1;
    assert.equal(watch.isAlive(LEASE), false);
  });

  it('counts the time that the machine slept while the news of a renewal lay in the pipe', () => {
    const { clock, watch } = watching();
    const sent = momentOf(clock);
    clock.wall += LIMIT_MS + 1;
    watch.renewed({ lease: LEASE, sent });
    assert.equal(watch.isAlive(LEASE), false);
  });

  it('is not misled by a calendar that is set back', () => {
    const { clock, watch } = watching();
    watch.renewed({ lease: LEASE, sent: ago(clock, 0) });
    clock.wall -= 3_600_000;
    clock.pass(LIMIT_MS + 1);
    assert.equal(watch.isAlive(LEASE), false);
  });

  it('does not count a renewal that was sent before the last one', () => {
    const { clock, watch } = watching();
    clock.pass(LIMIT_MS);
    watch.renewed({ lease: LEASE, sent: ago(clock, 0) });
    watch.renewed({ lease: LEASE, sent: ago(clock, LIMIT_MS) });
    clock.pass(1);
    assert.equal(watch.isAlive(LEASE), true);
  });
});

describe('Standstill', () => {
  it('adds up what lies between two moments, also while it goes on', () => {
    const standstill = new Standstill();
    standstill.begin(100);
    standstill.end(200);
    standstill.begin(300);
    assert.deepEqual(
      [
        [0, 50],
        [0, 250],
        [150, 350],
        [200, 300],
        [350, 400],
      ].map(([from, to]) => standstill.between(from!, to!)),
      [0, 100, 100, 0, 50],
    );
    standstill.end(310);
    assert.equal(standstill.between(0, 1000), 110);
  });
});

describe('NumberPool', () => {
  it('lends each number to one at a time, and a returned one as late as can be', () => {
    const pool = new NumberPool(10, 3);
    assert.deepEqual([pool.take(), pool.take()], [10, 11]);
    pool.give(10);
    assert.deepEqual([pool.take(), pool.take(), pool.take()], [12, 10, undefined]);
  });
});

class SettableClock implements Clock {
  wall = 1_000_000;
  #elapsed = 500_000;
  now = () => this.wall;
  monotonic = () => this.#elapsed;
  sleep = () => Promise.reject(new Error('Nobody sleeps here'));
  pass(ms: number): void {
    this.wall += ms;
    this.#elapsed += ms;
  }
}

function startProcess(t: TestContext): ChildProcess {
  const [program = '', ...args] = SUPERVISE;
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit', 'pipe'], env: { PATH } });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function* readReplies(channel: Duplex): AsyncGenerator<unknown> {
  const reader = new FrameReader();
  for await (const bytes of channel) yield* reader.read(bytes as Buffer);
}
