import { fork, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { type WebSocket as Served, WebSocketServer } from 'ws';
import { parseS3Address } from '../../node-runtime/objects/s3-address.ts';
import { S3ObjectStore } from '../../node-runtime/objects/s3-object-store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';
import type { CephS3 } from '../support/ceph-server.ts';

const MIB = 1_048_576;
const IN_FLIGHT = 6;
/** A relay reads no more of the program's output while this much waits for its follower. */
const MOST_BUFFERED = 4 * MIB;

/** Where and how the floor stores: what another process needs to know of an S3. */
type Place = Pick<CephS3, 'address' | 'credentials'>;

/** Megabytes a second of a program's output, read from a pipe. */
export async function pipeRate(command: string): Promise<number> {
  const meter = new Meter();
  for await (const chunk of output(command)) meter.add(chunk.length);
  return meter.rate();
}

/** The same, and each MiB compressed and put into S3. */
export async function storedRate(command: string, place: Place): Promise<number> {
  const meter = new Meter();
  await store(command, place, async chunk => meter.add(chunk.length));
  return meter.rate();
}

/**
 * The same, done by another process that also sends the output as it is through a WebSocket to this one: the rates at which
 * it was stored there, and received here.
 */
export async function followedRates(command: string, place: Place): Promise<{ stored: number; followed: number }> {
  const relay = fork(fileURLToPath(import.meta.url), [JSON.stringify({ command, place })], { stdio: 'inherit' });
  const failed = new AbortController();
  relay.once('exit', code => code !== 0 && failed.abort(new Error(`The relay ended with ${code}`)));
  const told = () => once(relay, 'message', { signal: failed.signal }) as Promise<[number]>;
  const [port] = await told();
  const stored = told();
  const meter = new Meter();
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  socket.binaryType = 'arraybuffer';
  socket.addEventListener('message', ({ data }) => meter.add((data as ArrayBuffer).byteLength));
  await once(socket, 'close', { signal: failed.signal });
  const followed = meter.rate();
  return { stored: (await stored)[0], followed };
}

/** The other process: serves one follower, and tells its port and then the rate. */
async function relay({ command, place }: { command: string; place: Place }): Promise<void> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  await once(server, 'listening');
  process.send!((server.address() as AddressInfo).port);
  const [socket] = (await once(server, 'connection')) as [Served];
  const meter = new Meter();
  await store(command, place, async chunk => {
    meter.add(chunk.length);
    await sendTo(socket, chunk);
  });
  socket.close();
  process.send!(meter.rate());
  server.close();
  process.disconnect();
}

/** Resolves when more may be sent. */
async function sendTo(socket: Served, chunk: Uint8Array): Promise<void> {
  const sent = new Promise<void>(resolve => socket.send(chunk, () => resolve()));
  if (socket.bufferedAmount > MOST_BUFFERED) await sent;
}

const compress = promisify(zstdCompress);
const FASTEST = { chunkSize: 262_144, params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Stores what the command prints, six MiB at a time, and shows each chunk to `see` before it reads the next. */
async function store(command: string, place: Place, see: (chunk: Buffer) => Promise<void>): Promise<void> {
  const { address, credentials } = place;
  const parts = { address: parseS3Address(address), clock: systemClock, chance: systemChance, credentials };
  await using objects = new S3ObjectStore(parts);
  const prefix = `floor/${randomUUID()}`;
  const flying = new Set<Promise<void>>();
  let blocks = 0;
  const put = async (block: Buffer) =>
    objects.put(`${prefix}/${blocks++}`, await compress(block, FASTEST), { signal: neverAborted });
  let block = Buffer.allocUnsafe(MIB);
  let filled = 0;
  for await (const chunk of output(command)) {
    await see(chunk);
    for (let rest = chunk; rest.length > 0; ) {
      const taken = rest.copy(block, filled);
      rest = rest.subarray(taken);
      filled += taken;
      if (filled < MIB) continue;
      const putting = put(block).finally(() => flying.delete(putting));
      flying.add(putting);
      block = Buffer.allocUnsafe(MIB);
      filled = 0;
      if (flying.size >= IN_FLIGHT) await Promise.race(flying);
    }
  }
  await Promise.all(flying);
}

async function* output(command: string): AsyncGenerator<Buffer> {
  const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  yield* child.stdout as AsyncIterable<Buffer>;
  await closed;
}

class Meter {
  readonly #started = performance.now();
  #bytes = 0;

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Megabytes a second until now. */
  rate(): number {
    return this.#bytes / 1000 / (performance.now() - this.#started);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await relay(JSON.parse(process.argv[2]!));
