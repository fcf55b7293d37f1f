import { LONG_OUTAGE, RESTORE } from './fault-names.ts';
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
  /** How often each fault, each kind of bad weather and each ugly part of etcd really struck. */
  readonly strikes: Readonly<Record<string, number>>;
  /** How many seeds had more than the usual work. */
  readonly workloads: Readonly<Record<Workload, number>>;
  readonly processorSeconds: number;
  /** Stands for the whole history of the last seed. */
  readonly lastHash: string;
}

export class Totals {
  readonly #first: number;
  readonly #begun = process.cpuUsage();
  #seeds = 0;
  #events = 0;
  #executions = 0;
  #lastHash = '';
  hours = 0;
  readonly #outcomes = new Map<string, number>();
  readonly #acts = new Map<string, number>();
  readonly #strikes = new Map<string, number>();
  readonly #workloads = { scaling: 0, crowd: 0 };

  constructor(first: number) {
    this.#first = first;
  }

  add({ virtualMs, events, executions, outcomes, strikes, plan, hash }: Outcome): void {
    this.#seeds++;
    this.#lastHash = hash;
    this.hours += virtualMs / 3_600_000;
    this.#events += events;
    this.#executions += executions;
    for (const outcome of outcomes) count(this.#outcomes, outcome);
    for (const act of plan.acts) count(this.#acts, act);
    for (const [fault, times] of strikes) count(this.#strikes, fault, times);
    if (plan.scaling) this.#workloads.scaling++;
    if (plan.crowdAt !== undefined) this.#workloads.crowd++;
    if (plan.hasLongOutage) count(this.#acts, LONG_OUTAGE);
    if (plan.hasRestore) count(this.#acts, RESTORE);
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
      strikes: Object.fromEntries(this.#strikes),
      workloads: this.#workloads,
      processorSeconds: (user + system) / 1e6,
      lastHash: this.#lastHash,
    };
  }

  get sentence(): string {
    const { first, seeds, hours, events, tasks, executions, processorSeconds } = this.figures;
    const work = `${tasks} tasks ended, ${executions} processes run, ${events} events`;
    return `Seeds ${first} to ${first + seeds - 1}: ${hours.toFixed(1)} simulated hours, ${work}, ${processorSeconds.toFixed(1)} s of processor time`;
  }
}

function count(counts: Map<string, number>, name: string, times = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + times);
}
