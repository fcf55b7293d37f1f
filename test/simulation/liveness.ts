import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { TaskId } from '../../shared/ids.ts';
import { type Keyspace, parseTasksKey } from '../../shared/keyspace.ts';
import type { LockRecord } from '../../shared/result.ts';
import type { TaskRecord } from '../../shared/task.ts';
import type { Process } from './machine.ts';
import type { ModelEtcd } from './model-etcd.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Violation } from './violation.ts';

const TTL_MS = 30_000;
/** 90 s of work on the slowest machine. */
const LONGEST_TASK_MS = 100_000;
/**
 * So long a task may take to its end when nothing is wrong: a lease that still has to end, as many attempts as may crash, and a minute for
 * what rests between them, for nodes that come back and for logs that are stored late. While every node is full it waits for others, and
 * that time does not count: how long depends on how much there is to do. A task that takes its machine down is a fault too.
 */
const END_WITHIN_MS = TTL_MS + 3 * LONGEST_TASK_MS + 60_000;
const LOOK_MS = 5000;

interface Waiting {
  readonly id: TaskId;
  readonly slots: number;
  /** The instance of the node that has it. */
  readonly holder: string | undefined;
}

export interface LivenessParts {
  readonly keys: Keyspace;
  readonly etcd: ModelEtcd;
  readonly nodes: readonly SimulatedNode[];
  readonly outside: Process;
  readonly onViolation: (violation: Violation) => void;
}

/** Whether every task that there is comes to its end soon, once nothing is wrong any more. */
export class Liveness {
  readonly #parts: LivenessParts;
  /** How long each task has had to come to its end, in milliseconds. */
  #had = new Map<TaskId, number>();

  constructor(parts: LivenessParts) {
    this.#parts = parts;
  }

  /** What was taken from a node now may take as long as if it were the first moment without faults. */
  disturbed(): void {
    this.#had.clear();
  }

  /** @param isOver says that all is over */
  async watch(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.#parts.outside.sleep(LOOK_MS, neverAborted);
      this.#look();
    }
  }

  #look(): void {
    const waiting = [...this.#waiting()];
    const had = new Map<TaskId, number>();
    for (const task of waiting) {
      const before = this.#had.get(task.id) ?? 0;
      const ms = task.holder !== undefined || this.#hasRoom(task, waiting) ? before + LOOK_MS : before;
      had.set(task.id, ms);
      if (ms > END_WITHIN_MS) this.#violated(task.id, ms);
    }
    this.#had = had;
  }

  *#waiting(): Generator<Waiting> {
    const { keys, etcd } = this.#parts;
    for (const { key, value } of etcd.all(keys.tasks)) {
      const parsed = parseTasksKey(keys, key);
      if (parsed?.kind !== 'task') continue;
      const { slots = 1 } = JSON.parse(value) as TaskRecord;
      const lock = etcd.get(keys.lock(parsed.id));
      const holder = lock && (JSON.parse(lock.value) as LockRecord).instance;
      yield { id: parsed.id, slots, holder };
    }
  }

  /** Also when no node is up: that it comes back is promised too. */
  #hasRoom({ slots }: Waiting, waiting: readonly Waiting[]): boolean {
    const up = this.#parts.nodes.filter(({ isLeaving }) => !isLeaving);
    const taken = (instance: string) =>
      waiting.filter(({ holder }) => holder === instance).reduce((sum, each) => sum + each.slots, 0);
    return up.length === 0 || up.some(node => node.slots - taken(node.up!.instance) >= slots);
  }

  #violated(task: TaskId, ms: number): void {
    const text = `Task ${task} has not ended though nothing was wrong, and there was room for it, for ${ms / 1000} s`;
    this.#parts.onViolation({ invariant: 'I3', task, text });
  }
}
