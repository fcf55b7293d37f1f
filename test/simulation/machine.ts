import { type Clock, neverAborted } from '../../node-runtime/system/clock.ts';
import type { Cancel, Scheduler } from './scheduler.ts';

/** A computer: clocks that its processes share, run too fast or too slow, are set, and stand still while it sleeps. */
export class Machine {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly #rate: number;
  readonly #processes = new Set<Process>();
  #slept = 0;
  #asleepSince: number | undefined;
  /** How much its calendar is ahead of the world's. */
  wrongBy = 0;
  /** When it was last woken, in the world's time. */
  wokeAt = Number.NEGATIVE_INFINITY;

  /** @param rate how many milliseconds its clocks count in one */
  constructor(name: string, scheduler: Scheduler, rate = 1) {
    this.name = name;
    this.scheduler = scheduler;
    this.#rate = rate;
  }

  get isAsleep(): boolean {
    return this.#asleepSince !== undefined;
  }

  start(name: string): Process {
    const process = new Process(`${this.name}/${name}`, this);
    this.#processes.add(process);
    void process.ended.then(() => this.#processes.delete(process));
    return process;
  }

  now(): number {
    return Math.floor(this.scheduler.calendar + this.wrongBy + this.scheduler.now * this.#rate);
  }

  monotonic(): number {
    return ((this.#asleepSince ?? this.scheduler.now) - this.#slept) * this.#rate;
  }

  /** How long it takes until its clocks have counted so far. */
  realMs(ms: number): number {
    return ms / this.#rate;
  }

  /** Closes the lid: processes stop, the monotonic clock too, the calendar does not. */
  sleepFor(ms: number): void {
    if (this.isAsleep) return;
    this.#asleepSince = this.scheduler.now;
    this.#tell();
    this.scheduler.after(ms, () => {
      this.#slept += this.scheduler.now - this.#asleepSince!;
      this.#asleepSince = undefined;
      this.wokeAt = this.scheduler.now;
      this.#tell();
    });
  }

  /** The power fails. */
  kill(): void {
    for (const process of [...this.#processes]) process.kill();
  }

  #tell(): void {
    for (const process of [...this.#processes]) process.machineChanged();
  }
}

/**
 * A process as the world sees it: whatever it waits for comes in through here, so that it can be paused and killed at any
 * moment between two events. One that was killed hears nothing more: what it was doing is never finished and never fails.
 */
export class Process implements Clock {
  readonly name: string;
  readonly machine: Machine;
  readonly ended: Promise<void>;
  readonly #ended = Promise.withResolvers<void>();
  /** Called whenever it begins or ceases to be able to run. */
  onChange: (isRunning: boolean) => void = () => undefined;
  #isPaused = false;
  #isDead = false;
  #wasRunning = true;
  #held: (() => void)[] = [];

  constructor(name: string, machine: Machine) {
    this.name = name;
    this.machine = machine;
    this.ended = this.#ended.promise;
    this.#wasRunning = this.isRunning;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Whether its instructions are carried out just now. */
  get isRunning(): boolean {
    return !this.#isDead && !this.#isPaused && !this.machine.isAsleep;
  }

  /** Something comes in: now, or when it runs again. */
  deliver(run: () => void): void {
    if (this.#isDead) return;
    if (this.isRunning && this.#held.length === 0) run();
    else this.#held.push(run);
  }

  pause(): void {
    this.#isPaused = true;
    this.machineChanged();
  }

  resume(): void {
    this.#isPaused = false;
    this.machineChanged();
  }

  kill(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#held = [];
    this.machineChanged();
    this.#ended.resolve();
  }

  machineChanged(): void {
    const { isRunning } = this;
    if (isRunning !== this.#wasRunning) {
      this.#wasRunning = isRunning;
      this.onChange(isRunning);
    }
    if (isRunning && this.#held.length > 0) this.machine.scheduler.after(0, () => this.#takeHeld());
  }

  now(): number {
    return this.machine.now();
  }

  monotonic(): number {
    return this.machine.monotonic();
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const due = this.monotonic() + Math.max(0, ms);
      let cancel: Cancel = () => undefined;
      let isOver = false;
      const abort = () => {
        isOver = true;
        cancel();
        reject(signal.reason);
      };
      const wake = () => {
        if (isOver) return;
        const rest = due - this.monotonic();
        // The machine may have slept meanwhile. Less than this is how clocks of different rates are rounded.
        if (rest > 0.01) return wait(rest);
        isOver = true;
        signal.removeEventListener('abort', abort);
        resolve();
      };
      const wait = (rest: number) => {
        cancel = this.machine.scheduler.after(this.machine.realMs(rest), () => this.deliver(wake));
      };
      // A signal for all eternity: what processes that died have left there would pile up.
      if (signal !== neverAborted) signal.addEventListener('abort', abort, { once: true });
      // As timers do: whole milliseconds, and one at least. Whoever waits for a moment finds that it has come.
      wait(Math.max(1, Math.ceil(ms)));
    });
  }

  /** One event for each thing that has waited: other things may happen in between. */
  #takeHeld(): void {
    if (!this.isRunning) return;
    this.#held.shift()?.();
    if (this.#held.length > 0) this.machine.scheduler.after(0, () => this.#takeHeld());
  }
}
