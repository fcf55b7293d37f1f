import type { Clock } from '../../system/clock.ts';
import type { Call, CommitResult, Transaction } from '../store.ts';

/** How transactions get to etcd. */
export interface CommitWay {
  alone(transaction: Transaction, call: Call): Promise<CommitResult>;
  /** As one proposal, each with an answer of its own; `undefined` when etcd has refused them all for the sake of one. */
  together(transactions: readonly Transaction[], call: Call): Promise<readonly CommitResult[] | undefined>;
}

/** etcd’s own limit is 128, unless it is told otherwise. */
const MAX_MEMBERS = 32;
/** Of keys and values together. A watch that catches up is sent up to 1,000 revisions in one message: groups make that no larger than large tasks do. */
const MAX_BYTES = 100_000;

/**
 * Group commit. What a node wants to commit in the same turn of its event loop travels as one transaction of etcd with those of
 * the node nested in it: one call, one proposal, one revision, one message to each watcher. An idle node waits for nothing; the
 * more it has to do, the longer its turns and the larger its groups.
 *
 * Nothing else changes for the callers: each transaction has its own compares, and is done or refused by itself. etcd
 * evaluates all compares of a group before it does any of it, so only transactions that touch no key in common go together.
 */
export class CommitGroups {
  readonly #way: CommitWay;
  readonly #clock: Clock;
  #waiting: Member[] = [];

  constructor(way: CommitWay, clock: Clock) {
    this.#way = way;
    this.#clock = clock;
  }

  commit(transaction: Transaction, call: Call): Promise<CommitResult> {
    // Nothing to write costs etcd no proposal.
    if (transaction.then.length === 0) return this.#way.alone(transaction, call);
    const member = new Member(transaction, call, this.#clock.monotonic() + call.timeoutMs);
    if (this.#waiting.length === 0) setImmediate(() => this.#send());
    this.#waiting.push(member);
    return member.result;
  }

  #send(): void {
    const members = this.#waiting.filter(member => !member.call.signal.aborted);
    this.#waiting = [];
    for (const group of groupsOf(members)) void this.#sendGroup(group);
  }

  /** Never rejects: whatever happens is told to the members. */
  async #sendGroup(members: readonly Member[]): Promise<void> {
    using group = callOf(members);
    try {
      const results = members.length > 1 ? await this.#together(members, group.call) : undefined;
      if (results) for (const [at, member] of members.entries()) member.settle(results[at]!);
      else await Promise.all(members.map(member => this.#sendAlone(member)));
    } catch (error) {
      for (const member of members) member.fail(error);
    }
  }

  /** In the time that is left. Its caller may have given it up while the group was on its way. */
  async #sendAlone({ transaction, call, until, settle, fail }: Member): Promise<void> {
    if (call.signal.aborted) return;
    const timeoutMs = Math.max(1, until - this.#clock.monotonic());
    await this.#way.alone(transaction, { signal: call.signal, timeoutMs }).then(settle, fail);
  }

  #together(members: readonly Member[], call: Call): Promise<readonly CommitResult[] | undefined> {
    const transactions = members.map(({ transaction }) => transaction);
    return this.#way.together(transactions, call);
  }
}

/** One transaction on its way, and who waits for it. Its caller's signal ends the waiting. */
class Member {
  readonly transaction: Transaction;
  readonly call: Call;
  /** By `Clock.monotonic`. */
  readonly until: number;
  readonly result: Promise<CommitResult>;
  readonly settle: (result: CommitResult) => void;
  readonly fail: (error: unknown) => void;

  constructor(transaction: Transaction, call: Call, until: number) {
    this.transaction = transaction;
    this.call = call;
    this.until = until;
    const { promise, resolve, reject } = Promise.withResolvers<CommitResult>();
    const { signal } = call;
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    this.result = promise.finally(() => signal.removeEventListener('abort', abort));
    this.settle = resolve;
    this.fail = reject;
  }
}

/** The call of a group lasts as long as anybody waits for it. */
function callOf(members: readonly Member[]): { readonly call: Call } & Disposable {
  const { timeoutMs } = members[0]!.call;
  const abandoned = new AbortController();
  const signals = new Set(members.map(({ call }) => call.signal));
  const leave = () => {
    if ([...signals].every(signal => signal.aborted)) abandoned.abort(new Error('Nobody waits for it any more'));
  };
  for (const signal of signals) signal.addEventListener('abort', leave, { once: true });
  return {
    call: { signal: abandoned.signal, timeoutMs },
    [Symbol.dispose]: () => {
      for (const signal of signals) signal.removeEventListener('abort', leave);
    },
  };
}

/** In the order in which they came, each in the first group that it may join. */
function groupsOf(members: readonly Member[]): readonly (readonly Member[])[] {
  const groups: Group[] = [];
  for (const member of members) {
    if (!groups.some(group => group.take(member))) groups.push(new Group(member));
  }
  return groups.map(group => group.members);
}

class Group {
  readonly members: Member[] = [];
  readonly #looksAt = new Set<string>();
  readonly #changes = new Set<string>();
  #bytes = 0;

  constructor(first: Member) {
    this.#add(first.transaction, sizeOf(first.transaction));
    this.members.push(first);
  }

  take(member: Member): boolean {
    const { transaction, call } = member;
    const bytes = sizeOf(transaction);
    const fits =
      this.members.length < MAX_MEMBERS &&
      this.#bytes + bytes <= MAX_BYTES &&
      call.timeoutMs === this.members[0]!.call.timeoutMs &&
      keysChanged(transaction).every(key => !this.#changes.has(key) && !this.#looksAt.has(key)) &&
      keysLookedAt(transaction).every(key => !this.#changes.has(key));
    if (!fits) return false;
    this.#add(transaction, bytes);
    this.members.push(member);
    return true;
  }

  #add(transaction: Transaction, bytes: number): void {
    for (const key of keysLookedAt(transaction)) this.#looksAt.add(key);
    for (const key of keysChanged(transaction)) this.#changes.add(key);
    this.#bytes += bytes;
  }
}

function keysLookedAt({ when, otherwise = [] }: Transaction): readonly string[] {
  return [...when.map(({ key }) => key), ...otherwise];
}

function keysChanged({ then }: Transaction): readonly string[] {
  return then.map(operation => ('put' in operation ? operation.put : operation.delete));
}

/** In bytes, at most: a unit of UTF-16 is at most three bytes of UTF-8. */
function sizeOf(transaction: Transaction): number {
  const values = transaction.then.map(operation => ('put' in operation ? operation.value : ''));
  const texts = [...keysLookedAt(transaction), ...keysChanged(transaction), ...values];
  return texts.reduce((sum, text) => sum + text.length * 3, 0);
}
