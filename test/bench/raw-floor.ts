import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Etcd3 } from 'etcd3';
import type { Store, WatchBatch } from '../../node-runtime/store/store.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';

const call = { signal: neverAborted, timeoutMs: 10_000 };

/**
 * Transactions a second that etcd takes from these clients together, with `inFlight` under way: create a key, delete it. Each
 * of `watchers` is told of each of them, and does nothing with it.
 */
export async function rawTransactionsPerSecond(
  clients: readonly Etcd3[],
  inFlight: number,
  seconds: number,
  watchers: readonly Store[] = [],
): Promise<number> {
  const stop = new AbortController();
  const watching = watchers.map(store => watchAll(store, stop.signal));
  const rate = await transactionsPerSecond(clients, inFlight, seconds);
  stop.abort();
  await Promise.all(watching);
  return rate;
}

async function watchAll(store: Store, signal: AbortSignal): Promise<void> {
  const { revision } = await store.range({ key: 'floor', limit: 1 }, call);
  for await (const _ of store.watch({ prefix: 'floor/', from: revision + 1 }, signal));
}

async function transactionsPerSecond(clients: readonly Etcd3[], inFlight: number, seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let count = 0;
  const worker = async (at: number) => {
    const { kv } = clients[at % clients.length]!;
    for (let i = 0; performance.now() < end; i++) {
      const key = Buffer.from(`floor/${at}/${i}`);
      const compare = { key, target: 'Create', create_revision: 0 } as const;
      const put = { request_put: { key, value: Buffer.from('x'.repeat(200)) } };
      await kv.txn({ compare: [{ ...compare, result: 'Equal' }], success: [put] });
      await kv.txn({ compare: [{ ...compare, result: 'Greater' }], success: [{ request_delete_range: { key } }] });
      count += 2;
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: inFlight }, (_, at) => worker(at)));
  return count / ((performance.now() - started) / 1000);
}

/** Processes a second that this machine starts and sees end, with `inFlight` under way. */
export async function rawSpawnsPerSecond(inFlight: number, seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let count = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (; performance.now() < end; count++) await spawnTrue();
    }),
  );
  return count / ((performance.now() - started) / 1000);
}

/** Starts `sh -c true` with its output piped, and waits for its end. */
export async function spawnTrue(): Promise<void> {
  const child = spawn('sh', ['-e', '-c', 'true'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.resume();
  child.stderr.resume();
  await once(child, 'close');
}

/** The way of a task made raw: a put, seen by a watch of another client, a claim transaction, a process that has started. */
export class RawDispatch implements AsyncDisposable {
  readonly #submitter: Store;
  readonly #worker: Store;
  readonly #stop = new AbortController();
  readonly #events: AsyncIterator<WatchBatch>;
  #rounds = 0;

  private constructor(submitter: Store, worker: Store, revision: number) {
    this.#submitter = submitter;
    this.#worker = worker;
    this.#events = worker.watch({ prefix: 'floor/', from: revision + 1 }, this.#stop.signal)[Symbol.asyncIterator]();
  }

  static async open(submitter: Store, worker: Store): Promise<RawDispatch> {
    const { revision } = await worker.range({ key: 'floor', limit: 1 }, call);
    return new RawDispatch(submitter, worker, revision);
  }

  /** How long it takes once, in milliseconds. */
  async time(): Promise<number> {
    const key = `floor/${++this.#rounds}`;
    const started = wallMs();
    const task = { put: key, value: 'x'.repeat(300) };
    const put = this.#submitter.commit({ when: [{ key, exists: false }], then: [task] }, call);
    await this.#seen(key);
    const lock = { put: `lock/${this.#rounds}`, value: 'x'.repeat(200) };
    await this.#worker.commit({ when: [{ key, exists: true }], then: [lock] }, call);
    const child = spawn('bash', ['-c', TELL_START], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [text] = (await once(child.stdout, 'data')) as [Buffer];
    await Promise.all([put, once(child, 'close')]);
    return (startTime(text.toString()) ?? Number.NaN) - started;
  }

  async #seen(key: string): Promise<void> {
    for (;;) {
      const { value, done } = await this.#events.next();
      if (done) throw new Error('The watch has ended');
      if (value.changes.some(change => change.kind === 'put' && change.record.key === key)) return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#events.return?.().catch(() => undefined);
  }
}

/** A command with which a process tells, without starting another, when it started. */
export const TELL_START = 'echo "started $EPOCHREALTIME"';

/** Milliseconds since 1970 that such a process has told. */
export function startTime(text: string): number | undefined {
  const seconds = /started (\d+)[.,](\d+)/.exec(text);
  return seconds ? Number(`${seconds[1]}.${seconds[2]}`) * 1000 : undefined;
}

/** Milliseconds since 1970, finer than whole ones. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
