import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { suite, test } from 'node:test';
import { FaultProxy, type Trap } from '../support/fault-proxy.ts';
import { until } from '../support/until.ts';

suite('a trap on the way to a server', () => {
  test('holds back what it was set for, and all that follows, until it is released', async () => {
    await using talk = await startTalk(bytes => (bytes.includes('two') ? 'hold' : 'pass'));
    await talk.say('one ');
    await until('one arrives', () => talk.heard() === 'one ');
    await talk.say('two ');
    await talk.say('three ');
    await talk.answer('still here');
    await until('the answer arrives', () => talk.answered() === 'still here');
    assert.equal(talk.heard(), 'one ');
    talk.proxy.release();
    await until('the rest arrives, in its order', () => talk.heard() === 'one two three ');
  });

  test('lets a request through without its answer', async () => {
    await using talk = await startTalk(bytes => (bytes.includes('two') ? 'mute' : 'pass'));
    await talk.say('one ');
    await until('one arrives', () => talk.heard() === 'one ');
    await talk.answer('first');
    await until('the answer arrives', () => talk.answered() === 'first');
    await talk.say('two ');
    await until('two arrives', () => talk.heard() === 'one two ');
    await talk.answer('second');
    // What the client has said after that has arrived: the answer would have, too.
    await talk.say('three ');
    await until('three arrives', () => talk.heard() === 'one two three ');
    assert.equal(talk.answered(), 'first');
  });
});

async function startTalk(trap: Trap) {
  await using resources = new AsyncDisposableStack();
  let heard = '';
  let answered = '';
  let served: Socket | undefined;
  const server = createServer(socket => {
    served = socket
      .on('error', () => undefined)
      .on('data', bytes => {
        heard += bytes;
      });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  resources.defer(() => void server.close());
  const proxy = resources.use(await FaultProxy.start(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  proxy.trap = trap;
  const client = connect(Number(new URL(proxy.endpoint).port), '127.0.0.1').on('error', () => undefined);
  client.on('data', bytes => {
    answered += bytes;
  });
  await once(client, 'connect');
  resources.defer(() => void client.destroy());
  const owned = resources.move();
  return {
    proxy,
    say: (text: string) => new Promise(resolve => client.write(text, resolve)),
    answer: (text: string) => new Promise(resolve => served!.write(text, resolve)),
    heard: () => heard,
    answered: () => answered,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
