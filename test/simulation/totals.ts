import type { Workload } from './workloads.ts';
import type { Outcome } from './world.ts';

/** What many seeds come to together. */
export interface Figures {
  readonly first: number;
  readonly seeds: number;
  readonly hours: number;
  readonly events: number;
  readonly tasks: number;
  readonly executions: number;
  /** How many tasks ended how. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** In how many seeds each fault was to be expected. */
  readonly acts: Readonly<Record<string, number>>;
  /** How many seeds had more than the usual work. */
  readonly workloads: Readonly<Record<Workload, number>>;
  readonly processorSeconds: number;
}

export class Totals {
  readonly #first: number;
  readonly #begun = process.cpuUsage();
  #seeds = 0;
  #events = 0;
  #executions = 0;
  hours = 0;
  readonly #outcomes = new Map<string, number>();
  readonly #acts = new Map<string, number>();
  readonly #workloads = { scaling: 0, crowd: 0 };

  constructor(first: number) {
    this.#first = first;
  }

  add({ virtualMs, events, executions, outcomes, plan }: Outcome): void {
    this.#seeds++;
    this.hours += virtualMs / 3_600_000;
    this.#events += events;
    this.#executions += executions;
    for (const outcome of outcomes) count(this.#outcomes, outcome);
    for (const act of plan.acts) count(this.#acts, act);
    if (plan.scaling) this.#workloads.scaling++;
    if (plan.crowdAt !== undefined) this.#workloads.crowd++;
    if (plan.hasLongOutage) count(this.#acts, 'etcd has no leader for 5 to 12 min');
    if (plan.hasRestore) count(this.#acts, 'etcd is restored from a backup');
  }

  get figures(): Figures {
    const { user, system } = process.cpuUsage(this.#begun);
    return {
      first: this.#first,
      seeds: this.#seeds,
      hours: this.hours,
      events: this.#events,
      tasks: [...this.#outcomes.values()].reduce((sum, each) => sum + each, 0),
      executions: this.#executions,
      outcomes: Object.fromEntries(this.#outcomes),
      acts: Object.fromEntries(this.#acts),
      workloads: this.#workloads,
      processorSeconds: (user + system) / 1e6,
    };
  }

  get sentence(): string {
    const { first, seeds, hours, events, tasks, executions, processorSeconds } = this.figures;
    const work = `${tasks} tasks ended, ${executions} processes run, ${events} events`;
    return `Seeds ${first} to ${first + seeds - 1}: ${hours.toFixed(1)} simulated hours, ${work}, ${processorSeconds.toFixed(1)} s of processor time`;
  }
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
