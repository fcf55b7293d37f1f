import type { NodeId, TaskId } from '../../shared/ids.ts';
import { type Keyspace, parseTasksKey } from '../../shared/keyspace.ts';
import type { LockRecord, MemberRecord } from '../../shared/result.ts';
import type { TaskRecord } from '../../shared/task.ts';
import type { PostRecord } from '../../node-runtime/cluster/posts.ts';
import type { Change, StoreRecord } from '../../node-runtime/store/store.ts';
import type { ModelEtcd } from './model-etcd.ts';
import type { Scheduler } from './scheduler.ts';
import type { Violation } from './violation.ts';

/** All simulated nodes have the same labels, which is none. */
const POOL = 'default';
/** When nothing is wrong, what is told is no older: it is written at most once a second, and has some ways to go. */
const FRESH_MS = 5000;
/** So soon after the last one was lost somebody else counts, also where a node must come up first. */
const TAKEN_UP_MS = 90_000;

type Work = ReadonlyMap<TaskId, { readonly slots: number; readonly holder: LockRecord | undefined }>;
type Crew = ReadonlyMap<string, MemberRecord>;

/** Something that was so, until the next one of its kind. */
interface Moment<T> {
  readonly from: number;
  readonly what: T;
}

/** How long somebody has counted, or nobody. */
interface Counting {
  readonly by: PostRecord | undefined;
  readonly from: number;
}

/**
 * What the demand is in truth, by the history of etcd, and whether it is told as it was. Tasks and members are followed by two watches, so
 * what was counted may have put together the tasks of one moment and the members of another.
 */
export class DemandTruth {
  readonly #keys: Keyspace;
  readonly #etcd: ModelEtcd;
  readonly #scheduler: Scheduler;
  readonly #isAlive: (counter: PostRecord) => boolean;
  readonly #onViolation: (violation: Violation) => void;
  #work: Moment<Work>[] = [{ from: 0, what: new Map() }];
  #crews: Moment<Crew>[] = [{ from: 0, what: new Map() }];
  #countings: Counting[] = [{ by: undefined, from: 0 }];
  /** The demand at each moment at which it changed. */
  #demand: Moment<number>[] = [{ from: 0, what: 0 }];

  constructor(parts: {
    readonly keys: Keyspace;
    readonly etcd: ModelEtcd;
    readonly scheduler: Scheduler;
    readonly isAlive: (counter: PostRecord) => boolean;
    readonly onViolation: (violation: Violation) => void;
  }) {
    this.#keys = parts.keys;
    this.#etcd = parts.etcd;
    this.#scheduler = parts.scheduler;
    this.#isAlive = parts.isAlive;
    this.#onViolation = parts.onViolation;
  }

  take(changes: readonly Change[]): void {
    const under = (prefix: string) => changes.filter(change => keyOf(change).startsWith(prefix));
    const [tasks, members] = [under(this.#keys.tasks), under(this.#keys.members)];
    if (tasks.length > 0) this.#note(this.#work, this.#workAfter(tasks));
    if (members.length > 0) this.#note(this.#crews, this.#crewNow());
    for (const change of under(this.#keys.post('demand')))
      this.#notePost(change.kind === 'put' ? change.record : undefined);
    const demand = countOf(this.#work.at(-1)!.what, this.#crews.at(-1)!.what);
    if (demand !== this.#demand.at(-1)!.what) this.#note(this.#demand, demand);
    for (const change of changes)
      if (change.kind === 'put' && change.record.key === this.#keys.demand(POOL))
        this.#check(Number(change.record.value), this.#scheduler.now, 'is written');
  }

  /** What happened after the backup has not happened. Whoever has the post by it had counted some time before. */
  restored(): void {
    const puts = [...this.#etcd.all(this.#keys.tasks)].map(record => ({ kind: 'put', record }) as const);
    this.#note(this.#work, new Map());
    this.#note(this.#work, this.#workAfter(puts));
    this.#note(this.#crews, this.#crewNow());
    const post = this.#etcd.get(this.#keys.post('demand'));
    this.#countings = [{ by: post && (JSON.parse(post.value) as PostRecord), from: 0 }];
  }

  /** Somebody who asked at some time is told that it is so much; undefined: that it is not known. */
  told(demand: number | undefined, askedAt: number): void {
    if (demand !== undefined) this.#check(demand, askedAt, 'is told');
  }

  /** As `told`, when nothing has been wrong for long. */
  toldInCalm(demand: number | undefined, askedAt: number): void {
    this.told(demand, askedAt);
    const { by, from } = this.#countings.at(-1)!;
    const patience = by ? FRESH_MS : TAKEN_UP_MS;
    // Some tasks kill the machine of their node: what that node has told lasts as long as its lease.
    if (from > askedAt - patience || (by && !this.#isAlive(by))) return;
    if (demand === undefined) this.#violated('is not known though nothing is wrong');
    else if (!this.#wasCounted(demand, askedAt - FRESH_MS))
      this.#violated(`is told to be ${demand}, and has not been that of late`);
  }

  /** The most that has been asked for, for so long without a break, within some time. */
  sustained(forMs: number, withinMs: number): number {
    const { now } = this.#scheduler;
    let most = 0;
    for (const [at, { from }] of this.#demand.entries()) {
      const begin = Math.max(from, now - withinMs);
      const end = this.#demand[at + 1]?.from ?? now;
      if (end <= now - withinMs) continue;
      let least = Number.POSITIVE_INFINITY;
      for (const [other, { from: otherFrom, what }] of this.#demand.entries())
        if (otherFrom < begin + forMs && (this.#demand[other + 1]?.from ?? now) > begin) least = Math.min(least, what);
      if (begin + forMs <= now) most = Math.max(most, least);
    }
    return most;
  }

  /** The holder that the key has under its creation; nobody may write it who has not created it. */
  #notePost(record: StoreRecord | undefined): void {
    const by = record && (JSON.parse(record.value) as PostRecord);
    const before = this.#countings.at(-1)!;
    if (before.by && by && before.by.instance !== by.instance)
      this.#violated(`is counted by ${by.node}, while ${before.by.node} has the post`);
    if (before.by?.instance !== by?.instance) this.#countings.push({ by, from: this.#scheduler.now });
  }

  /** Nothing was invented, nothing is from before whoever counted it had the post. */
  #check(demand: number, askedAt: number, how: string): void {
    // Several may have had the post while somebody asked.
    const first = this.#countings.findLastIndex(({ from }) => from <= askedAt);
    const counted = this.#countings.slice(Math.max(0, first)).filter(({ by }) => by !== undefined);
    const since = counted[0]?.from;
    if (since === undefined) this.#violated(`${how} as ${demand} though nobody counts it`);
    else if (!this.#wasCounted(demand, since))
      this.#violated(`${how} as ${demand}, which it has not been since ${counted[0]!.by!.node} has the post`);
  }

  /** The likely ones first: the latest. */
  #wasCounted(demand: number, since: number): boolean {
    const work = lastSince(this.#work, since);
    const crews = lastSince(this.#crews, since);
    return work.some(tasks => crews.some(members => countOf(tasks, members) === demand));
  }

  #workAfter(changes: readonly Change[]): Work {
    const work = new Map(this.#work.at(-1)!.what);
    for (const change of changes) {
      const parsed = parseTasksKey(this.#keys, keyOf(change));
      if (!parsed) continue;
      const value = change.kind === 'put' ? JSON.parse(change.record.value) : undefined;
      const known = work.get(parsed.id);
      if (parsed.kind === 'lock') {
        if (known) work.set(parsed.id, { ...known, holder: value as LockRecord | undefined });
      } else if (value) work.set(parsed.id, { slots: (value as TaskRecord).slots ?? 1, holder: known?.holder });
      else work.delete(parsed.id);
    }
    return work;
  }

  #crewNow(): Crew {
    const members = [...this.#etcd.all(this.#keys.members)].map(({ value }) => JSON.parse(value) as MemberRecord);
    return new Map(members.map(member => [member.node as NodeId, member]));
  }

  /** What changes twice at one moment is kept twice: each was so at a revision of its own. */
  #note<T>(moments: Moment<T>[], what: T): void {
    moments.push({ from: this.#scheduler.now, what });
  }

  #violated(text: string): void {
    this.#onViolation({ invariant: 'I14', task: undefined, text: `The demand ${text}` });
  }
}

function keyOf(change: Change): string {
  return change.kind === 'put' ? change.record.key : change.key;
}

/** All that was so at some time since then, the latest first. */
function lastSince<T>(moments: readonly Moment<T>[], since: number): T[] {
  const first = moments.findLastIndex(({ from }) => from < since);
  return moments
    .slice(Math.max(0, first))
    .map(({ what }) => what)
    .reverse();
}

/** Counted in another way than the product does: of one pool only, whose nodes can all run everything that is small enough. */
function countOf(work: Work, crew: Crew): number {
  const claiming = [...crew.values()].filter(({ draining }) => !draining);
  const largest = Math.max(0, ...claiming.map(({ slots }) => slots)) || Number.POSITIVE_INFINITY;
  let demand = 0;
  for (const { slots, holder } of work.values()) {
    const member = holder && crew.get(holder.node);
    const isHeld = member !== undefined && member.instance === holder?.instance;
    if (isHeld ? !member.draining : slots <= largest) demand += slots;
  }
  return demand;
}
