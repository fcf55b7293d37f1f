import type { NodeId } from '../../shared/ids.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { follow } from '../store/follow.ts';
import type { StoreRecord } from '../store/store.ts';
import type { Wakeup } from '../system/wakeup.ts';

/** Whether this node is asked to claim nothing more, so that its pod can be deleted: by a key that may come and go. */
export class Retirement {
  readonly #cluster: Pick<Cluster, 'keys' | 'store' | 'clock' | 'chance'>;
  readonly #node: NodeId;
  readonly #instance: string;
  #asked = new AbortController();

  constructor(cluster: Pick<Cluster, 'keys' | 'store' | 'clock' | 'chance'>, node: NodeId, instance: string) {
    this.#cluster = cluster;
    this.#node = node;
    this.#instance = instance;
  }

  /** Fires when it is asked. There is another one once it no longer is. */
  get asked(): AbortSignal {
    return this.#asked.signal;
  }

  /** Looks until the signal fires, and notifies `changed`. */
  async watch(changed: Wakeup, signal: AbortSignal): Promise<void> {
    const { keys, store, clock, chance } = this.#cluster;
    const key = keys.retiring(this.#node);
    const note = (record: StoreRecord | undefined) => {
      this.#note(record?.value.includes(`"instance":"${this.#instance}"`) ?? false);
      changed.notify();
    };
    for await (const event of follow(store, { prefix: key, clock, chance }, signal)) {
      if (event.kind === 'snapshot') note(event.records.find(record => record.key === key));
      else
        for (const change of event.changes) {
          if (change.kind === 'put' && change.record.key === key) note(change.record);
          if (change.kind === 'delete' && change.key === key) note(undefined);
        }
    }
  }

  #note(isAsked: boolean): void {
    if (isAsked) this.#asked.abort();
    else if (this.#asked.signal.aborted) this.#asked = new AbortController();
  }
}
