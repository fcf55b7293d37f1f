import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
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
  await one[Symbol.asyncDispose]();
  assert.deepEqual(await names(), ['window-2']);
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
