import { z } from 'zod';
import type { TaskId } from '../../shared/ids.ts';
import { parseTasksKey } from '../../shared/keyspace.ts';
import { LockRecord, MemberRecord } from '../../shared/result.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { follow } from '../store/follow.ts';
import type { Change, StoreRecord } from '../store/store.ts';
import { Wakeup } from '../system/wakeup.ts';
import type { DemandTask } from './count-demand.ts';

/** Of a task, what says which nodes may run it: also of one that a newer release wrote. */
const Ask = z.looseObject({
  labels: z.array(z.string()).default([]),
  slots: z.number().int().min(1).default(1),
});
const Holder = LockRecord.pick({ node: true, instance: true });

type Part = Pick<Cluster, 'keys' | 'store' | 'clock' | 'chance'>;

/** All unfinished tasks and all members, as they are and change, of each only what matters for the demand. */
export class DemandView {
  readonly #cluster: Part;
  readonly #asks = new Map<TaskId, z.infer<typeof Ask>>();
  readonly #holders = new Map<TaskId, z.infer<typeof Holder>>();
  readonly #members = new Map<string, MemberRecord>();
  readonly #listed = new Set<'tasks' | 'members'>();
  #isNew = false;
  /** Notified when there is a change to take. */
  readonly changed = new Wakeup();

  constructor(cluster: Part) {
    this.#cluster = cluster;
  }

  get members(): Iterable<MemberRecord> {
    return this.#members.values();
  }

  /** Whether anything has changed since this was asked last; never before both have been listed. */
  takeChange(): boolean {
    const isNew = this.#isNew;
    this.#isNew = false;
    return isNew;
  }

  *tasks(): Generator<DemandTask> {
    for (const [id, ask] of this.#asks) {
      const holder = this.#holders.get(id);
      yield holder ? { ...ask, holder } : ask;
    }
  }

  /** Keeps the view until the signal fires. Rejects with what waiting would not mend. */
  async run(signal: AbortSignal): Promise<void> {
    const failed = new AbortController();
    const both = AbortSignal.any([signal, failed.signal]);
    const stop = (error: unknown) => {
      failed.abort();
      throw error;
    };
    await Promise.all([this.#followTasks(both).catch(stop), this.#followMembers(both).catch(stop)]);
  }

  async #followTasks(signal: AbortSignal): Promise<void> {
    const { store, keys, clock, chance } = this.#cluster;
    const options = { prefix: keys.tasks, clock, chance, keep: (record: StoreRecord) => this.#shrink(record) };
    for await (const event of follow(store, options, signal)) {
      if (event.kind === 'snapshot') {
        this.#asks.clear();
        this.#holders.clear();
        for (const record of event.records) this.#putTask(record);
      } else for (const change of event.changes) this.#changeTask(change);
      this.#note('tasks');
    }
  }

  async #followMembers(signal: AbortSignal): Promise<void> {
    const { store, keys, clock, chance } = this.#cluster;
    for await (const event of follow(store, { prefix: keys.members, clock, chance }, signal)) {
      if (event.kind === 'snapshot') {
        this.#members.clear();
        for (const record of event.records) this.#putMember(record);
      } else
        for (const change of event.changes) {
          if (change.kind === 'put') this.#putMember(change.record);
          else this.#members.delete(change.key);
        }
      this.#note('members');
    }
  }

  #note(part: 'tasks' | 'members'): void {
    this.#listed.add(part);
    // Before both have been listed, what is not there is not known to be absent.
    if (this.#listed.size < 2) return;
    this.#isNew = true;
    this.changed.notify();
  }

  /** A long queue is listed without its steps and environments. */
  #shrink(record: StoreRecord): StoreRecord {
    const parsed = parseTasksKey(this.#cluster.keys, record.key);
    const value = parsed?.kind === 'task' ? read(Ask, record.value) : undefined;
    return value ? { ...record, value: JSON.stringify({ labels: value.labels, slots: value.slots }) } : record;
  }

  #changeTask(change: Change): void {
    const parsed = change.kind === 'delete' && parseTasksKey(this.#cluster.keys, change.key);
    if (change.kind === 'put') this.#putTask(change.record);
    else if (parsed) (parsed.kind === 'task' ? this.#asks : this.#holders).delete(parsed.id);
  }

  /** What cannot be read, no node can run. */
  #putTask(record: StoreRecord): void {
    const parsed = parseTasksKey(this.#cluster.keys, record.key);
    if (parsed?.kind === 'lock') put(this.#holders, parsed.id, read(Holder, record.value));
    if (parsed?.kind === 'task') {
      const ask = read(Ask, record.value);
      put(this.#asks, parsed.id, ask && { labels: ask.labels, slots: ask.slots });
    }
  }

  #putMember({ key, value }: StoreRecord): void {
    put(this.#members, key, read(MemberRecord, value));
  }
}

function put<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function read<T extends z.ZodType>(schema: T, value: string): z.infer<T> | undefined {
  try {
    return schema.safeParse(JSON.parse(value)).data;
  } catch {
    return undefined;
  }
}
