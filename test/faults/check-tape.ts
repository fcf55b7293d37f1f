import type { TapeEvent } from './tape.ts';

/** One broken promise; the numbers are those of ARCHITECTURE.md's invariants as README.md beside this file words them. */
export interface Violation {
  readonly invariant: string;
  readonly subject: string;
  readonly text: string;
}

export interface TapeChecks {
  /** The cluster's prefix, with its slash. */
  readonly root: string;
  /** Tasks whose submission was acknowledged. */
  readonly acknowledged: Iterable<string>;
  /** Tasks of which it was acknowledged that they will be cancelled. */
  readonly cancelled?: Iterable<string>;
  /** How long locks may outlive the member record of their node, in milliseconds, between two times: TTL × (1 + leader changes). */
  readonly lockGraceMs: (from: number, to: number) => number;
  /** From this revision on there was nothing to do: nothing may have been written. Absent: not looked at. */
  readonly quietFrom?: number;
  /** Why the tape is not whole, if it is not. */
  readonly torn?: string | undefined;
}

export interface Claimed {
  readonly task: string;
  readonly fence: number;
  readonly node: string;
  readonly instance: string;
  readonly attempt: number;
  readonly at: number;
  /** When and how the lock went. */
  ended?: {
    readonly at: number;
    readonly how: 'completed' | 'drained' | 'released' | 'expired';
    readonly isCharged: boolean;
  };
}

export interface Completed {
  readonly task: string;
  readonly fence: number;
  readonly revision: number;
  readonly at: number;
  readonly outcome: string;
  readonly attempt: number;
}

/** By which an attempt is known: etcd may take several claims in one transaction, and then they share their fence. */
export function attemptName({ task, fence }: { readonly task: string; readonly fence: number }): string {
  return `${task}/${fence}`;
}

/** Claims that a node held when it was killed. */
export function heldAt(claims: readonly Claimed[], nodeId: string, at: number): readonly Claimed[] {
  return claims.filter(
    ({ node, at: claimedAt, ended }) => node === nodeId && claimedAt <= at && ended?.how === 'expired' && ended.at > at,
  );
}

/** What a tape says, beside what is wrong with it. */
export interface TapeStory {
  readonly violations: readonly Violation[];
  /** When each task was submitted. */
  readonly submitted: ReadonlyMap<string, number>;
  readonly claims: readonly Claimed[];
  readonly completed: ReadonlyMap<string, Completed>;
}

/** As far as a checker has to understand them. Everything else in the records is the product's business. */
interface Records {
  readonly lock: { node: string; instance: string; attempt: number };
  readonly attempts: { claims: number; crashed: number; lost: number; drained: number };
  readonly completed: { fence: number; outcome: string; attempt: number };
  readonly task: { cancelled?: unknown; attempts?: { crashed?: number; lost?: number } };
}

interface TaskHistory {
  readonly id: string;
  task?: Records['task'] | undefined;
  everSubmitted: boolean;
  lock?: (Claimed & { readonly lease: string }) | undefined;
  attempts?: Records['attempts'] | undefined;
  completed?: Completed | undefined;
  cancelRevision?: number | undefined;
}

type Folder = 'tasks' | 'lock' | 'attempts' | 'completed';
type Group = Partial<Record<Folder, TapeEvent>>;

/** Outcomes that a node writes for a task that nobody holds. */
const WITHOUT_HOLDER: ReadonlySet<string> = new Set(['cancelled', 'infrastructure-lost', 'crashed', 'dead-lettered']);
const DEFAULT_BUDGET = { crashed: 3, lost: 10 };

/** Reads a tape once, from its beginning to its end, and says which promises it breaks. Knows nothing of the product's code. */
export function checkTape(events: readonly TapeEvent[], checks: TapeChecks): TapeStory {
  const check = new TapeCheck(checks);
  if (checks.torn) check.report('tape', checks.root, `it is torn: ${checks.torn}`);
  for (const group of byRevision(events)) check.apply(group);
  check.end(events.at(-1));
  return check;
}

class TapeCheck implements TapeStory {
  readonly violations: Violation[] = [];
  readonly submitted = new Map<string, number>();
  readonly claims: Claimed[] = [];
  readonly completed = new Map<string, Completed>();
  readonly #checks: TapeChecks;
  readonly #tasks = new Map<string, TaskHistory>();
  /** By lease: when the member record under it went while locks under it stayed. */
  readonly #memberLess = new Map<string, number>();
  readonly #memberLease = new Map<string, string>();

  constructor(checks: TapeChecks) {
    this.#checks = checks;
  }

  report(invariant: string, subject: string, text: string): void {
    this.violations.push({ invariant, subject, text });
  }

  /** All changes of one revision. */
  apply(events: readonly TapeEvent[]): void {
    const { root, quietFrom } = this.#checks;
    const { revision } = events[0]!;
    const ours = events.filter(({ key }) => key.startsWith(root));
    if (quietFrom !== undefined && revision > quietFrom && ours.length > 0)
      this.report('I12', ours[0]!.key, `written at ${revision} although there was nothing to do since ${quietFrom}`);
    for (const [id, group] of groupByTask(ours, root)) this.#applyTask(this.#task(id), group, revision);
    for (const event of ours) if (event.key.startsWith(`${root}members/`)) this.#applyMember(event);
  }

  end(last: TapeEvent | undefined): void {
    for (const id of this.#checks.acknowledged)
      if (!this.#tasks.get(id)?.everSubmitted)
        this.report('I3', id, 'its submission was acknowledged, but it was never written');
    for (const id of this.#checks.cancelled ?? []) {
      const history = this.#tasks.get(id);
      if (!history?.completed && history?.cancelRevision === undefined)
        this.report('I10', id, 'its cancellation was acknowledged, but never written');
    }
    for (const { id, task, lock, completed } of this.#tasks.values()) {
      if (task && !completed) this.report('I12', id, 'it was still in the queue when all should have been done');
      if (lock) this.report('I11', id, `its lock ${lock.fence} was left behind`);
    }
    for (const [lease, since] of this.#memberLess) this.#checkOutlived(lease, since, last?.at ?? since);
  }

  #task(id: string): TaskHistory {
    const known = this.#tasks.get(id) ?? { id, everSubmitted: false };
    this.#tasks.set(id, known);
    return known;
  }

  #applyTask(history: TaskHistory, group: Group, revision: number): void {
    const before = { ...history };
    const { tasks, lock, attempts, completed } = group;
    if (completed) this.#applyCompleted(history, before, completed, group);
    if (tasks?.kind === 'put') this.#applyTaskPut(history, before, tasks);
    if (tasks?.kind === 'delete') this.#applyTaskDelete(history, completed, revision);
    if (lock?.kind === 'put') this.#applyClaim(history, before, lock, attempts);
    if (lock?.kind === 'delete') this.#applyUnlock(history, before, group);
    if (attempts) this.#applyAttempts(history, before, group);
  }

  #applyCompleted(history: TaskHistory, before: TaskHistory, event: TapeEvent, group: Group): void {
    const { id } = history;
    // Leaving for the object store's history, after the retention.
    if (event.kind === 'delete') return;
    const { fence, outcome, attempt } = parse<Records['completed']>(event);
    if (before.completed || event.version !== 1)
      this.report(
        'I1',
        id,
        `completed at ${before.completed?.revision ?? event.created} and again at ${event.revision}`,
      );
    if (fence === 0) this.#checkUnheld(before, event, outcome);
    else if (before.lock?.fence !== fence)
      this.report(
        'I2',
        id,
        `completed at ${event.revision} by fence ${fence}, while ${before.lock ? `fence ${before.lock.fence} held it` : 'nobody held it'}`,
      );
    if (!before.task) this.report('I2', id, `completed at ${event.revision} although it was not in the queue`);
    for (const folder of ['tasks', 'lock', 'attempts'] as const)
      if (before[folder === 'tasks' ? 'task' : folder] && group[folder]?.kind !== 'delete')
        this.report('I5', id, `completed at ${event.revision}, but its ${folder} record stayed`);
    history.completed ??= { task: id, fence, revision: event.revision, at: event.at, outcome, attempt };
    this.completed.set(id, history.completed);
  }

  #checkUnheld({ id, lock }: TaskHistory, { revision }: TapeEvent, outcome: string): void {
    if (lock) this.report('I2', id, `ended by nobody at ${revision}, while fence ${lock.fence} held it`);
    if (!WITHOUT_HOLDER.has(outcome)) this.report('I2', id, `${outcome} at ${revision}, but nobody held it`);
  }

  #applyTaskPut(history: TaskHistory, before: TaskHistory, event: TapeEvent): void {
    const { id } = history;
    const record = parse<Records['task']>(event);
    if (before.completed) this.report('I5', id, `put into the queue at ${event.revision} after it was completed`);
    else if (before.everSubmitted && !before.task) this.report('I5', id, `back in the queue at ${event.revision}`);
    if (!before.everSubmitted) this.submitted.set(id, event.at);
    if (record.cancelled && !before.task?.cancelled) history.cancelRevision = event.revision;
    if (before.task && !record.cancelled)
      this.report('I5', id, `changed at ${event.revision}, but not to be cancelled`);
    history.everSubmitted = true;
    history.task = record;
  }

  #applyTaskDelete(history: TaskHistory, completed: TapeEvent | undefined, revision: number): void {
    if (completed?.kind !== 'put') this.report('I3', history.id, `deleted at ${revision} without a result`);
    history.task = undefined;
  }

  #applyClaim(history: TaskHistory, before: TaskHistory, event: TapeEvent, attempts: TapeEvent | undefined): void {
    const { id } = history;
    const { revision } = event;
    const { node, instance, attempt } = parse<Records['lock']>(event);
    if (before.lock) this.report('I2', id, `claimed at ${revision} while fence ${before.lock.fence} held it`);
    if (before.completed) this.report('I5', id, `claimed at ${revision} after it was completed`);
    else if (!before.task) this.report('I5', id, `claimed at ${revision} although it was not in the queue`);
    if (before.task?.cancelled)
      this.report('I10', id, `claimed at ${revision} although it was cancelled at ${before.cancelRevision}`);
    const claims = attempts?.kind === 'put' ? parse<Records['attempts']>(attempts).claims : undefined;
    const expected = (before.attempts?.claims ?? 0) + 1;
    if (claims !== expected || attempt !== expected)
      this.report(
        'I4',
        id,
        `claim ${expected} at ${revision} was counted as ${claims ?? 'none'}, its lock says ${attempt}`,
      );
    this.#checkBudgets(before, revision);
    const claim = { task: id, fence: revision, node, instance, attempt, at: event.at, lease: event.lease };
    history.lock = claim;
    this.claims.push(claim);
  }

  /** What had ended before this claim must have left room for one more attempt; what nobody has closed was lost with its node. */
  #checkBudgets({ id, task, attempts }: TaskHistory, revision: number): void {
    const { claims = 0, crashed = 0, drained = 0 } = attempts ?? {};
    const gone = claims - crashed - drained;
    const budget = { ...DEFAULT_BUDGET, ...task?.attempts };
    if (crashed >= budget.crashed || gone >= budget.lost)
      this.report('I4', id, `claimed at ${revision} with ${crashed} crashed and ${gone} lost attempts behind it`);
  }

  #applyUnlock(history: TaskHistory, before: TaskHistory, { completed, attempts, lock: event }: Group): void {
    const { lock } = history;
    if (!lock || !event) return;
    const record = attempts?.kind === 'put' ? parse<Records['attempts']>(attempts) : undefined;
    const { crashed = 0, lost = 0, drained = 0 } = before.attempts ?? {};
    const released = record?.drained === drained ? 'released' : 'drained';
    const how = completed?.kind === 'put' ? 'completed' : record === undefined ? 'expired' : released;
    const isCharged = record !== undefined && record.crashed + record.lost > crashed + lost;
    if (how === 'drained' && isCharged)
      this.report('I4', history.id, `drained at ${event.revision}, and charged to a budget`);
    lock.ended = { at: event.at, how, isCharged };
    const since = this.#memberLess.get(lock.lease);
    if (since !== undefined) this.#checkOutlived(lock.lease, since, event.at);
    history.lock = undefined;
  }

  #applyAttempts(history: TaskHistory, before: TaskHistory, { attempts, completed, lock }: Group): void {
    const { id } = history;
    if (attempts?.kind === 'delete') {
      if (completed?.kind !== 'put') this.report('I4', id, `its attempts were forgotten at ${attempts.revision}`);
      history.attempts = undefined;
      return;
    }
    const record = parse<Records['attempts']>(attempts!);
    const counted = record.claims - (before.attempts?.claims ?? 0);
    if (counted !== 0 && lock?.kind !== 'put')
      this.report('I4', id, `${counted} claims were counted at ${attempts!.revision} without one`);
    const budget = { ...DEFAULT_BUDGET, ...before.task?.attempts };
    // The last attempt of either budget ends the task: nothing is left for one more.
    if (record.claims > budget.crashed + budget.lost - 1 + record.drained)
      this.report('I4', id, `claimed ${record.claims} times by ${attempts!.revision}, drained ${record.drained} times`);
    history.attempts = record;
  }

  #applyMember(event: TapeEvent): void {
    if (event.kind === 'put') {
      this.#memberLease.set(event.key, event.lease);
      return;
    }
    const lease = this.#memberLease.get(event.key);
    const isHeld = [...this.#tasks.values()].some(({ lock }) => lock?.lease === lease);
    if (lease !== undefined && isHeld) this.#memberLess.set(lease, event.at);
    this.#memberLease.delete(event.key);
  }

  #checkOutlived(lease: string, since: number, until: number): void {
    if (until - since > this.#checks.lockGraceMs(since, until))
      this.report('I11', `lease ${lease}`, `its locks outlived its member record by ${Math.round(until - since)} ms`);
    this.#memberLess.delete(lease);
  }
}

function* byRevision(events: readonly TapeEvent[]): Generator<readonly TapeEvent[]> {
  for (let from = 0; from < events.length; ) {
    let to = from + 1;
    while (events[to]?.revision === events[from]!.revision) to++;
    yield events.slice(from, to);
    from = to;
  }
}

/** The changes of each task's keys. */
function groupByTask(events: readonly TapeEvent[], root: string): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const event of events) {
    const [folder = '', name = ''] = event.key.slice(root.length).split('/');
    const isLock = folder === 'tasks' && name.endsWith('.lock');
    if (folder !== 'tasks' && folder !== 'attempts' && folder !== 'completed') continue;
    const id = isLock ? name.slice(0, -'.lock'.length) : name;
    groups.set(id, { ...groups.get(id), [isLock ? 'lock' : folder]: event });
  }
  return groups;
}

function parse<T>(event: TapeEvent): T {
  return JSON.parse(event.value ?? '') as T;
}
