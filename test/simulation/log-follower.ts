import { isCiError } from '../../shared/errors.ts';
import type { Fence, TaskId } from '../../shared/ids.ts';
import type { LogEvent, LogPosition } from '../../shared/log.ts';
import { neverAborted } from '../../node-runtime/system/clock.ts';
import type { Process } from './machine.ts';
import type { SeededChance } from './seeded-chance.ts';
import type { RunningParts, SimulatedNode } from './simulated-node.ts';

/** Somebody who follows a task's log over all its attempts, at another node when theirs dies. */
export class LogFollower {
  readonly task: TaskId;
  readonly #process: Process;
  readonly #chance: SeededChance;
  readonly #nodes: readonly SimulatedNode[];
  readonly #seen = new Map<Fence, Buffer[]>();
  #at: LogPosition | undefined;
  #isOver = false;
  /** What it was shown that cannot be. */
  problem: string | undefined;

  constructor(task: TaskId, process: Process, chance: SeededChance, nodes: readonly SimulatedNode[]) {
    this.task = task;
    this.#process = process;
    this.#chance = chance;
    this.#nodes = nodes;
  }

  /** Whether it has come to the end, or has given up. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** What it has seen of an attempt; undefined if nothing was shown of that. */
  seen(fence: Fence): string | undefined {
    const parts = this.#seen.get(fence);
    return parts && Buffer.concat(parts).toString();
  }

  /** Gives up: etcd was restored, and its place in the log may never have been. */
  stop(): void {
    this.#isOver = true;
    this.#seen.clear();
  }

  /** Until the task's last attempt has ended. */
  async follow(): Promise<void> {
    while (!this.#isOver) {
      const { up } = this.#chance.pick(this.#nodes);
      if (up) await Promise.race([this.#followAt(up), up.process.ended]);
      await this.#process.sleep(this.#chance.between(200, 2000), neverAborted);
    }
  }

  #followAt(up: RunningParts): Promise<void> {
    return new Promise((resolve, reject) => {
      up.process.deliver(() => {
        this.#read(up).then(resolve, error => (isCiError(error) ? resolve() : reject(error)));
      });
    });
  }

  async #read({ taskLogs, process }: RunningParts): Promise<void> {
    const from = this.#at;
    const request = { task: this.task, follow: true, ...(from && { from }) };
    for await (const event of taskLogs.follow(request, neverAborted)) {
      if (this.#isOver || process.isDead) return;
      this.#take(event);
    }
    this.#isOver = true;
  }

  #take(event: LogEvent): void {
    switch (event.kind) {
      case 'attempt':
        if (this.#at?.fence !== event.fence) this.#seen.set(event.fence, []);
        this.#at = { fence: event.fence, offset: event.offset };
        break;
      case 'bytes': {
        const { fence, offset } = this.#at!;
        if (event.offset !== offset) this.problem ??= `goes from byte ${offset} to ${event.offset}`;
        this.#seen.get(fence)!.push(Buffer.from(event.bytes));
        this.#at = { fence, offset: event.offset + event.bytes.length };
      }
    }
  }
}
