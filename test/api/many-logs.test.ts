import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { WebSocket } from 'ws';
import { fetchAhead } from '../../node-runtime/logs/fetch-ahead.ts';
import { BlockRoom } from '../../node-runtime/logs/block-room.ts';
import type { AttemptName, Logs, TaskLogs } from '../../node-runtime/logs/logs.ts';
import { MemoryObjectStore } from '../support/memory-object-store.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import { decodeLogFrame, INITIAL_LOG_CREDIT, SOCKET_PATH, SOCKET_PROTOCOL } from '../../shared/socket-protocol.ts';
import { testApi } from '../support/test-api.ts';
import { newAttempt, numberedLines, testLogs } from '../support/test-logs.ts';
import { until } from '../support/until.ts';

const MIB = 1_048_576;
const LOGS = 64;
const LOG_BYTES = 4 * MIB;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Finished logs, all alike. */
async function manyLogs(): Promise<{ logs: Logs; attempts: AttemptName[]; expected: Buffer }> {
  const logs = testLogs(new MemoryObjectStore(), systemClock);
  const attempts = Array.from({ length: LOGS }, newAttempt);
  const expected = numberedLines(LOG_BYTES);
  for (const attempt of attempts) {
    await using log = logs.open(attempt, []);
    await log.write(expected);
    await log.finish();
  }
  return { logs, attempts, expected };
}

/** Of each task, its only attempt. */
function taskLogsOf(logs: Logs): TaskLogs {
  return {
    follow: async function* ({ task, from, room }, signal) {
      const offset = from?.offset ?? 0;
      yield { kind: 'attempt', fence: 7, attempt: 1, node: 'n1', offset };
      yield* logs.read({ task, fence: 7, from: offset, follow: false, ...(room && { room }) }, signal);
    },
  };
}

test('64 logs that a client has subscribed to and does not go on with cost the node a few pieces, and each goes on where it stood', async () => {
  const { logs, attempts, expected } = await manyLogs();
  await using api = await testApi({ api: { logs, taskLogs: taskLogsOf(logs) } });
  const socket = new WebSocket(`${api.url.replace('http', 'ws')}${SOCKET_PATH}`, [SOCKET_PROTOCOL], {
    headers: { authorization: `Bearer ${await api.token('viewer')}` },
  });
  const got = attempts.map(() => 0);
  let isWrong = false;
  let ended = 0;
  socket.on('message', (data, isBinary) => {
    if (!isBinary) {
      if (JSON.parse(String(data)).type === 'attempt-end') ended++;
      return;
    }
    const { subscription, offset, bytes } = decodeLogFrame(new Uint8Array(data as Buffer))!;
    isWrong ||= offset !== got[subscription] || !expected.subarray(offset, offset + bytes.length).equals(bytes);
    got[subscription] = offset + bytes.length;
  });
  await once(socket, 'open');
  collect();
  const before = process.memoryUsage().arrayBuffers;
  for (const [id, { task }] of attempts.entries())
    socket.send(JSON.stringify({ type: 'subscribe', id, topic: 'log', task, follow: false }));
  await until('each has got what it has credit for', () => got.every(bytes => bytes === INITIAL_LOG_CREDIT));
  await until('what they hold is little', () => {
    collect();
    // Eight pieces of the socket, and eight that the node keeps for whoever comes next.
    return process.memoryUsage().arrayBuffers - before < 24 * MIB;
  });
  for (const id of attempts.keys()) socket.send(JSON.stringify({ type: 'credit', id, bytes: LOG_BYTES }));
  await until('each has all of its log', () => got.every(bytes => bytes === LOG_BYTES) && ended === LOGS);
  assert.equal(isWrong, false);
  socket.terminate();
});

test('readers who share room hold no more pieces between them than there are places, and all get on', async () => {
  const room = new BlockRoom(4);
  let held = 0;
  let most = 0;
  const fetch = async (piece: number) => {
    most = Math.max(most, ++held);
    await new Promise(setImmediate);
    return piece;
  };
  const read = async () => {
    const seen: number[] = [];
    for await (const piece of fetchAhead([1, 2, 3, 4, 5], fetch, neverAborted, room)) {
      seen.push(piece);
      await new Promise(setImmediate);
      held--;
    }
    return seen;
  };
  const all = await Promise.all(Array.from({ length: 20 }, read));
  assert.deepEqual(new Set(all.map(String)), new Set(['1,2,3,4,5']));
  assert.ok(most <= 4, `${most} pieces were held`);
  assert.equal(held, 0);
});
