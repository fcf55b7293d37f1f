import { setTimeout as sleep } from 'node:timers/promises';
import type { Nemesis, Struck } from './nemesis.ts';
import type { Rig } from './rig.ts';
import { type Fault, formatFault, TRACKS, type Track } from './schedule.ts';
import type { Job } from './task-kinds.ts';
import { untilKey } from './until-key.ts';
import type { Workload } from './workload.ts';

/** How long after a fault was healed the cluster had taken in a new task and finished it. */
export interface Recovery {
  readonly nemesis: string;
  readonly healedAt: number;
  readonly doneAt: number;
}

/** When a fault was really at work. One that has hurt nobody was none. */
export interface Spell {
  readonly nemesis: string;
  readonly track: Track;
  readonly from: number;
  readonly to: number;
  /** From when on it has kept nodes from storing something, by the names of their places. */
  readonly storing: ReadonlyMap<string, number>;
}

const PROBE: Job = {
  kind: 'probe',
  lines: 1,
  filling: 0,
  pauseSeconds: 0.01,
  exitCode: 0,
  keepsFiles: false,
  tellsSecret: false,
  isCancelled: false,
};

/** Carries a schedule out. */
export class Storm {
  readonly recoveries: Recovery[] = [];
  readonly spells: Spell[] = [];
  /** Faults that were there and hurt nobody, by their names. */
  readonly missed: string[] = [];
  readonly #recovering: Promise<void>[] = [];
  readonly #rig: Rig;
  readonly #workload: Workload;
  readonly #nemeses: ReadonlyMap<string, Nemesis>;

  constructor(rig: Rig, workload: Workload, nemeses: readonly Nemesis[]) {
    this.#rig = rig;
    this.#workload = workload;
    this.#nemeses = new Map(nemeses.map(nemesis => [nemesis.name, nemesis]));
  }

  /**
   * All tracks at once, on each one fault after the other; or all faults one by one, each when the last one's recovery is over. A
   * row may fall behind, as healing takes its time: what has not begun when all should be over is left out. When one fails, all end.
   */
  async run(schedule: readonly Fault[], oneByOne: boolean, signal: AbortSignal): Promise<void> {
    const endMs = Math.max(0, ...schedule.map(({ at, lastsMs }) => at + lastsMs));
    const failed = new AbortController();
    const ended = AbortSignal.any([signal, failed.signal]);
    const startedAt = performance.now();
    const runRow = async (row: readonly Fault[]) => {
      for (const fault of row) {
        await sleep(Math.max(0, startedAt + fault.at - performance.now()), undefined, { signal: ended });
        if (performance.now() - startedAt < endMs) await this.#strike(fault, oneByOne, ended);
        else this.#rig.options.log(`left out: ${formatFault(fault)}`);
      }
    };
    const rows = oneByOne ? [schedule] : TRACKS.map(track => schedule.filter(fault => fault.track === track));
    await Promise.all(rows.map(row => runRow(row).catch(error => failed.abort(error))));
    await Promise.all(this.#recovering.map(each => each.catch(error => failed.abort(error))));
    ended.throwIfAborted();
  }

  async #strike(fault: Fault, waits: boolean, signal: AbortSignal): Promise<void> {
    const { log } = this.#rig.options;
    const nemesis = this.#nemeses.get(fault.nemesis)!;
    log(`+ ${formatFault(fault)}`);
    const from = performance.now();
    let strikes = 0;
    const storing = new Map<string, number>();
    const struck: Struck = (where, what) => {
      strikes++;
      if (where && what?.isStoring && !storing.has(where.name)) storing.set(where.name, performance.now());
    };
    const heal = await nemesis.inject(this.#rig, fault.pick, signal, struck);
    await sleep(Math.max(0, from + fault.lastsMs - performance.now()), undefined, { signal });
    await heal(signal);
    if (strikes === 0) {
      log(`- ${nemesis.name}: it has hurt nobody`);
      this.missed.push(nemesis.name);
      return;
    }
    this.spells.push({ nemesis: nemesis.name, track: fault.track, from, to: performance.now(), storing });
    log(`- ${nemesis.name}`);
    const recovering = this.#recover(nemesis.name, signal);
    recovering.catch(() => undefined); // It is awaited with the others, at the end.
    this.#recovering.push(recovering);
    if (waits) await recovering;
  }

  /** Submits a small task and waits for its end. Other faults may be at work meanwhile: it is what a user would see. */
  async #recover(nemesis: string, signal: AbortSignal): Promise<void> {
    const { tape, cluster } = this.#rig;
    const healedAt = performance.now();
    const { id } = await this.#workload.submit(PROBE, signal);
    const { at: doneAt } = await untilKey(tape, [`${cluster}/completed/${id}`], signal);
    this.recoveries.push({ nemesis, healedAt, doneAt });
  }
}
