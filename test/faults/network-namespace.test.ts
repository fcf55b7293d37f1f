import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { NetworkNamespace, whyNoNetworkNamespace } from '../support/network-namespace.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';

const execute = promisify(execFile);
const skip = whyNoNetworkNamespace() ?? false;

test('a network of its own is cut and mended, all but its loopback, and leaves nothing behind', { skip }, async () => {
  await using folder = await temporaryFolder();
  const socketPath = join(folder.path, 'socket');
  const local = createServer(socket => socket.end('past the network')).listen(socketPath);
  await once(local, 'listening');
  const network = await NetworkNamespace.start(4711, socketPath);
  const outside = createServer(socket => socket.end('through the cable')).listen(0, network.outer);
  await once(outside, 'listening');
  const { port } = outside.address() as { port: number };
  const reads = (host: string, at: number) => read(network, host, at);
  const cable = (await execute('ip', ['-o', 'addr', 'show', 'to', `${network.outer}/32`])).stdout.split(/\s+/)[1]!;
  try {
    await until('it is connected', async () => (await reads(network.outer, port)) === 'through the cable');
    for (const how of ['both ways', 'what comes in', 'link down'] as const) {
      await network.cut(how);
      assert.equal(await reads(network.outer, port), '', how);
      await until('its loopback works', async () => (await reads('127.0.0.1', 4711)) === 'past the network');
      await network.mend();
      await until('it is mended', async () => (await reads(network.outer, port)) === 'through the cable');
    }
  } finally {
    await network[Symbol.asyncDispose]();
    await Promise.all([local, outside].map(ended));
  }
  await until('the cable is gone', () => !existsSync(`/sys/class/net/${cable}`));
});

/** What somebody inside gets from there; nothing, if nothing comes within four seconds. */
async function read(network: NetworkNamespace, host: string, port: number): Promise<string> {
  const [enter, ...rest] = network.command;
  const script = `cat < /dev/tcp/${host}/${port}`;
  return (await execute(enter!, [...rest, 'timeout', '4', 'bash', '-c', script]).catch(() => ({ stdout: '' }))).stdout;
}

async function ended(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}
