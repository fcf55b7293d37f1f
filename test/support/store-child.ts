import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EmbeddedStore } from '../../node-runtime/store/embedded-store.ts';
import type { EtcdOptions } from '../../node-runtime/store/etcd-options.ts';
import type { Store } from '../../node-runtime/store/store.ts';
import { systemChance } from '../../node-runtime/system/chance.ts';
import { neverAborted, systemClock } from '../../node-runtime/system/clock.ts';

/** How another process comes to the same store. */
export type StoreAddress =
  /** Not at all: it lives in this process. */
  | { readonly kind: 'here'; readonly open: () => Store }
  | { readonly kind: 'embedded'; readonly file: string }
  | { readonly kind: 'etcd'; readonly options: EtcdOptions };

export async function openStore(address: StoreAddress): Promise<Store> {
  if (address.kind === 'here') return address.open();
  if (address.kind === 'embedded') return EmbeddedStore.open({ file: address.file, clock: systemClock });
  const { EtcdStore } = await import('../../node-runtime/store/etcd-store.ts');
  return EtcdStore.open(address.options, { clock: systemClock, chance: systemChance }, neverAborted);
}

export type Job =
  /** Raises the number under the key by one, so many times, however long others are quicker. */
  | { readonly kind: 'count'; readonly key: string; readonly times: number }
  /** Writes PREFIX0, PREFIX1, … for ever, and reports each number once it is acknowledged. */
  | { readonly kind: 'write'; readonly prefix: string };

/** A process of its own that does the job and reports numbers; `done` resolves when it ends. For a store of this process: a connection of its own. */
export function startStoreChild(address: StoreAddress, job: Job, onNumber: (n: number) => void = () => undefined) {
  if (address.kind === 'here') return { done: main({ address, job }).then(() => 0), kill: () => false };
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify({ address, job })], { stdio: 'inherit' });
  child.on('message', message => onNumber(message as number));
  const done = new Promise<number | null>(resolve => child.once('exit', code => resolve(code)));
  return { done, kill: () => child.kill('SIGKILL') };
}

const call = { signal: neverAborted, timeoutMs: 30_000 };

/** One step of `count`: true if this process has won it. */
export async function increment(store: Store, key: string): Promise<boolean> {
  const { records } = await store.range({ key, limit: 1 }, call);
  const { value = '0', modRevision = 0 } = records[0] ?? {};
  const raised = String(Number(value) + 1);
  const result = await store.commit({ when: [{ key, modRevision }], then: [{ put: key, value: raised }] }, call);
  if (result.kind === 'ambiguous') throw result.cause;
  return result.kind === 'committed';
}

async function main({ address, job }: { address: StoreAddress; job: Job }): Promise<void> {
  await using store = await openStore(address);
  if (job.kind === 'count') {
    for (let won = 0; won < job.times; ) won += (await increment(store, job.key)) ? 1 : 0;
    return;
  }
  for (let n = 0; ; n++) {
    await store.commit({ when: [], then: [{ put: `${job.prefix}${n}`, value: String(n) }] }, call);
    process.send!(n);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(JSON.parse(process.argv[2]!));
  process.disconnect();
}
