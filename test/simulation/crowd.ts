import type { Cluster } from '../../node-runtime/cluster/cluster.ts';
import type { Executor } from '../../node-runtime/runner/executor.ts';
import type { RangeRequest, Store } from '../../node-runtime/store/store.ts';
import type { TaskId } from '../../shared/ids.ts';
import { type Competitor, compete, NOTHING_DONE } from '../support/competitor.ts';
import { testCluster } from '../support/test-cluster.ts';
import { submit } from '../support/test-tasks.ts';
import { ModelEtcd } from './model-etcd.ts';
import { ModelStore } from './model-store.ts';
import { Link, type Party } from './network.ts';
import { Scheduler } from './scheduler.ts';
import { SeededChance } from './seeded-chance.ts';

/** A node that competes for tasks, what it has asked the store to read, and how many changes its watches were told. */
export interface Rival {
  readonly node: Competitor;
  readonly reads: RangeRequest[];
  changes: number;
}

/** The claim loops of many nodes on one model of etcd, in virtual time and by seeded chance: the same seed, the same history. */
export class Crowd {
  readonly rivals: Rival[] = [];
  readonly #scheduler = new Scheduler();
  readonly #chance: SeededChance;
  readonly #etcd: ModelEtcd;
  readonly #party: Party;

  constructor(seed: number) {
    this.#chance = new SeededChance(seed);
    this.#party = partyOf(this.#scheduler);
    this.#etcd = new ModelEtcd(this.#party, this.#chance);
  }

  /** Lets time pass until something is so; fails when it is not within a minute of that time. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const inTime = await this.#scheduler.runUntil(isSo, this.#scheduler.now + 60_000);
    if (!inTime) throw new Error(`It never came to pass: ${what}`);
  }

  /** Lets time pass until something has been done. */
  async done<T>(what: string, work: Promise<T>): Promise<T> {
    let isDone = false;
    const mark = () => {
      isDone = true;
    };
    work.then(mark, mark);
    await this.until(what, () => isDone);
    return work;
  }

  connect(): Promise<Cluster> {
    return this.done('connecting', testCluster({ clock: this.#party, store: this.#store() }));
  }

  async submit(count: number, changes = {}): Promise<TaskId[]> {
    const cluster = await this.connect();
    const submissions = Array.from({ length: count }, () => submit(cluster, changes));
    return this.done('submitting', Promise.all(submissions));
  }

  /** Nodes of one slot each, whose tasks take some 10 ms. */
  async join(count: number): Promise<void> {
    const executor: Executor = {
      execute: async (_claim, stop) => {
        await this.#party.sleep(this.#chance.between(5, 15), stop).catch(() => undefined);
        return NOTHING_DONE;
      },
    };
    for (let i = 0; i < count; i++) {
      const store = this.#store();
      const rival = { reads: [] as RangeRequest[], changes: 0 };
      const { range, watch } = store;
      store.range = (request, call) => {
        rival.reads.push(request);
        return range.call(store, request, call);
      };
      store.watch = async function* (request, signal) {
        for await (const batch of watch.call(store, request, signal)) {
          rival.changes += batch.changes.length;
          yield batch;
        }
      };
      const cluster = await this.done('connecting', testCluster({ clock: this.#party, store }));
      const node = await this.done('joining', compete(cluster, `n${i}`, { executor }));
      this.rivals.push(Object.assign(rival, { node }));
    }
  }

  get claimed(): TaskId[] {
    return this.rivals.flatMap(({ node }) => node.claims.map(({ id }) => id));
  }

  get ended(): number {
    return this.rivals.reduce((sum, { node }) => sum + node.endings.length, 0);
  }

  #store(): Store {
    return new ModelStore(this.#etcd, new Link(this.#party, this.#party, this.#chance), this.#chance);
  }
}

function partyOf(scheduler: Scheduler): Party {
  return {
    now: () => Math.floor(scheduler.calendar + scheduler.now),
    monotonic: () => scheduler.now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const abort = () => {
          cancel();
          reject(signal.reason);
        };
        const cancel = scheduler.after(ms, () => {
          signal.removeEventListener('abort', abort);
          resolve();
        });
        signal.addEventListener('abort', abort, { once: true });
      }),
    deliver: run => run(),
  };
}
