import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CiError } from '../../shared/errors.ts';
import { type ConnectionEvent, type ConnectionState, nextConnection } from '../../extension/connection.ts';
import { connectionText } from '../../extension/connection-text.ts';

const choice = { id: 'https://ci', label: 'acme/ci', urls: ['https://ci'] };
const cluster = {
  cluster: 'acme/ci',
  epoch: 'e',
  node: 'n1',
  instance: 'i',
  version: '1',
  role: 'runner',
  principal: 'me',
} as const;
const unreachable = (random = 0.5): ConnectionEvent => ({
  kind: 'failed',
  error: new CiError('unavailable', 'Cannot reach the node at https://ci'),
  random,
});

function after(...events: ConnectionEvent[]): ConnectionState {
  return events.reduce(nextConnection, { kind: 'none' });
}

test('a cluster that is chosen is connected to, and then connected', () => {
  assert.equal(after({ kind: 'chosen', choice }).kind, 'connecting');
  assert.equal(after({ kind: 'chosen', choice }, { kind: 'answered', cluster }).kind, 'connected');
});

test('a cluster that cannot be reached is tried again, later each time, but never after more than 45 s', () => {
  let state = after({ kind: 'chosen', choice });
  const delays = Array.from({ length: 10 }, () => {
    state = nextConnection(nextConnection(state, { kind: 'tried' }), unreachable());
    return state.kind === 'waiting' ? state.delayMs : 0;
  });
  assert.deepEqual(delays.slice(0, 4), [500, 1000, 2000, 4000]);
  assert.equal(delays.at(-1), 30_000);
  assert.equal(nextConnection(state, unreachable(1)).kind === 'waiting', true);
});

test('windows that were cut off together do not come back together', () => {
  const delays = [0, 0.999].map(random => {
    const state = after({ kind: 'chosen', choice }, unreachable(random));
    return state.kind === 'waiting' ? state.delayMs : 0;
  });
  assert.deepEqual(delays, [250, 750]);
});

test('after an answer, waiting begins short again', () => {
  const state = after(
    { kind: 'chosen', choice },
    unreachable(),
    unreachable(),
    { kind: 'answered', cluster },
    unreachable(),
  );
  assert.equal(state.kind === 'waiting' && state.delayMs, 500);
});

test('a token that is refused is not tried again by itself', () => {
  const error = new CiError('unauthenticated', 'Cannot use token as it is unknown');
  const state = after({ kind: 'chosen', choice }, { kind: 'failed', error, random: 0 });
  assert.deepEqual(state, { kind: 'refused', choice, reason: 'Cannot use token as it is unknown' });
  assert.equal(nextConnection(state, { kind: 'tried' }).kind, 'connecting');
});

test('what still comes from a cluster that was left changes nothing', () => {
  assert.deepEqual(after({ kind: 'chosen', choice }, { kind: 'chosen', choice: undefined }, unreachable()), {
    kind: 'none',
  });
});

test('every state is told in words', () => {
  const texts = [
    after(),
    after({ kind: 'chosen', choice }),
    after({ kind: 'chosen', choice }, { kind: 'answered', cluster }),
    after({ kind: 'chosen', choice }, unreachable()),
  ].map(connectionText);
  assert.deepEqual(texts, [
    { cluster: '', message: undefined },
    { cluster: 'acme/ci', message: 'Connecting to acme/ci …' },
    { cluster: 'acme/ci', message: undefined },
    {
      cluster: 'acme/ci – not reachable',
      message: 'Cannot reach the node at https://ci. Trying again in 500 ms.',
    },
  ]);
});
