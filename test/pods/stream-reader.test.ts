import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { StreamReader } from '../../node-runtime/pods/stream-reader.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** An output that is read as a log reads it; `hold` has it stop with something in hand. */
function reading() {
  const clock = new FakeClock();
  const stream = new PassThrough();
  const reader = new StreamReader(clock, Promise.resolve(stream as unknown as TLSSocket), neverAborted);
  let held: Promise<void> = Promise.resolve();
  let bytes = 0;
  const read = async () => {
    for await (const part of reader.bytes()) {
      bytes += part.length;
      await held;
    }
  };
  const over = read();
  const hold = (until: Promise<void>) => {
    held = until;
  };
  return { clock, stream, reader, over, bytes: () => bytes, hold };
}

test('an output that its pod keeps open when nothing runs any more is cut', async () => {
  const it = reading();
  it.stream.write('words');
  await it.clock.advance(0);
  const finished = it.reader.finish();
  await it.clock.advance(60_000);
  await Promise.all([finished, it.over]);
  assert.equal(it.bytes(), 5);
});

test('what has come of an output while its node stood still is not cut', async () => {
  const it = reading();
  const finished = it.reader.finish();
  await it.clock.advance(1000);
  it.clock.standStill(600_000);
  await it.clock.advance(0);
  it.stream.end('words');
  await it.over;
  assert.equal(it.bytes(), 5);
  await it.clock.advance(60_000);
  await finished;
});

test('what has come of an output is not cut, however long its log takes', async () => {
  const it = reading();
  const store = Promise.withResolvers<void>();
  it.hold(store.promise);
  it.stream.write('words');
  await it.clock.advance(0);
  const finished = it.reader.finish();
  it.stream.end(' of an honest pod');
  await it.clock.advance(600_000);
  store.resolve();
  await it.over;
  assert.equal(it.bytes(), 22);
  await it.clock.advance(60_000);
  await finished;
});

test('a pod that says it has printed more than it sends is believed for a while', async () => {
  const it = reading();
  const limit = new AbortController();
  const read = it.reader.read(1_000_000, limit.signal);
  it.stream.write('words');
  await it.clock.advance(0);
  limit.abort();
  await read;
  it.stream.end();
  await it.over;
});
