import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../extension/clock.ts';
import { KeptNode } from '../../extension/kept-node.ts';
import { LocalNode } from '../../extension/local-node.ts';
import { createClient } from '../../shared/client.ts';
import { extensionParts } from '../support/extension-parts.ts';
import { eventually } from '../support/test-tasks.ts';

test('local nodes of two windows form one cluster, and each leaves alone', async t => {
  const parts = await extensionParts(t);
  const one = await parts.node('window-1');
  const two = await parts.node('window-2');
  await using client = createClient({ urls: [two.address.url], token: two.address.token });
  const names = async () => (await client.call('listNodes', {}, t.signal)).nodes.map(({ node }) => node).sort();
  assert.deepEqual(await names(), ['window-1', 'window-2']);
  await one.end();
  assert.deepEqual(await names(), ['window-2']);
});

test('a node that is kept is found by the next window, goes on when that closes, and ends when it is told to', async t => {
  const { program, folder } = await extensionParts(t);
  const options = { program, dataFolder: join(folder, 'data'), name: 'kept', clock: systemClock };
  const first = await KeptNode.start(options, t.signal);
  t.after(() => first.end());
  const second = await KeptNode.find(options);
  assert.deepEqual(second?.address, first.address);
  await using client = createClient({ urls: [first.address.url], token: first.address.token });
  assert.equal((await client.call('cluster', {}, t.signal)).node, 'kept');
  const third = await KeptNode.start(options, t.signal);
  assert.deepEqual(third.address, first.address, 'there is one of that name');
  assert.deepEqual(
    (await readdir(options.dataFolder)).filter(name => name.startsWith('kept-node')),
    ['kept-node.json'],
  );
  assert.equal((await stat(join(options.dataFolder, 'kept-node.json'))).mode & 0o077, 0);
  await second?.end();
  assert.equal(await first.isAlive(), false);
  assert.equal(await KeptNode.find(options), undefined);
});

test('a kept node outlives the window that started it, however that ends', async t => {
  const { program, folder } = await extensionParts(t);
  const dataFolder = join(folder, 'data');
  const child = fileURLToPath(new URL('../support/local-node-child.ts', import.meta.url));
  const window = spawn(process.execPath, [child, program.args[0]!, dataFolder, 'kept'], {
    env: program.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => window.kill('SIGKILL'));
  const [line] = (await once(window.stdout, 'data')) as [Buffer];
  window.kill('SIGKILL');
  await once(window, 'exit');
  const found = await KeptNode.find({ dataFolder, clock: systemClock });
  t.after(() => found?.end());
  assert.equal(found?.address.url, line.toString().trim());
});

test('a kept node that cannot start says why', async t => {
  const { program, folder } = await extensionParts(t);
  const options = { program, dataFolder: join(folder, 'data'), name: 'not a name', clock: systemClock };
  await assert.rejects(KeptNode.start(options, t.signal), /Cannot start a local node: .*node id.*"not a name"/);
});

test('a node that cannot start says why', async t => {
  const { program, folder } = await extensionParts(t);
  const options = { program, dataFolder: join(folder, 'data'), name: 'not a name', note: () => undefined };
  await assert.rejects(LocalNode.start(options, t.signal), /Cannot start a local node: .*node id.*"not a name"/);
});

test('a program that is not there is told as such', async t => {
  const { folder } = await extensionParts(t);
  const program = { command: join(folder, 'none'), args: [], env: {} };
  await assert.rejects(
    LocalNode.start({ program, dataFolder: folder, name: 'n', note: () => undefined }, t.signal),
    /Cannot start a local node: spawn .*none ENOENT/,
  );
});

test('when the window is killed, its node is not left behind', async t => {
  const { program, folder } = await extensionParts(t);
  const child = fileURLToPath(new URL('../support/local-node-child.ts', import.meta.url));
  const window = spawn(process.execPath, [child, program.args[0]!, join(folder, 'data')], {
    env: program.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => window.kill('SIGKILL'));
  const [line] = (await once(window.stdout, 'data')) as [Buffer];
  const url = line.toString().trim();
  assert.equal((await fetch(`${url}/livez`)).status, 200);
  window.kill('SIGKILL');
  await eventually('the node has ended', () =>
    fetch(`${url}/livez`).then(
      () => undefined,
      () => true,
    ),
  );
});
