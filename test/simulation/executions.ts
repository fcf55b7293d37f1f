import type { Fence, TaskId } from '../../shared/ids.ts';
import type { Process } from './machine.ts';

/** One command that really ran on some machine, as no node but only the world can know it. */
export class Execution {
  readonly task: TaskId;
  readonly fence: Fence;
  /** The name of the machine. */
  readonly machine: string;
  readonly process: Process;
  /** The supervisor that it belongs to. */
  readonly guard: Process;
  /** All that it has printed, in order, and when. */
  readonly printed: { readonly bytes: Buffer; readonly at: number }[] = [];

  constructor(parts: Pick<Execution, 'task' | 'fence' | 'machine' | 'process' | 'guard'>) {
    this.task = parts.task;
    this.fence = parts.fence;
    this.machine = parts.machine;
    this.process = parts.process;
    this.guard = parts.guard;
  }

  get isRunning(): boolean {
    return this.process.isRunning;
  }
}

/** Every execution there was. */
export class Executions {
  readonly #byTask = new Map<TaskId, Execution[]>();
  /** Told when one begins to run, also again after it was frozen. */
  onRunning: (execution: Execution) => void = () => undefined;
  count = 0;

  add(execution: Execution): void {
    this.count++;
    const all = this.#byTask.get(execution.task) ?? [];
    this.#byTask.set(execution.task, [...all, execution]);
    execution.process.onChange = isRunning => {
      if (isRunning) this.onRunning(execution);
    };
    if (execution.isRunning) this.onRunning(execution);
  }

  of(task: TaskId): readonly Execution[] {
    return this.#byTask.get(task) ?? [];
  }

  *all(): Generator<Execution> {
    for (const executions of this.#byTask.values()) yield* executions;
  }
}
