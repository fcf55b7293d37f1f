import { CiError } from '../../shared/errors.ts';
import type { Renewal } from '../cluster/session.ts';
import type { Clock } from '../system/clock.ts';
import type { Place, Supervisor } from './sandbox.ts';

const RESTART_PAUSE_MS = 1000;

/** Keeps one supervisor process running: when it is lost, its tasks are dead, and the next tasks get a new one. */
export class SupervisorKeeper implements AsyncDisposable {
  readonly #start: () => Promise<Supervisor>;
  readonly #clock: Clock;
  #current: Supervisor | undefined;
  #starting: Promise<Supervisor> | undefined;
  #renewal: Renewal | undefined;

  constructor(start: () => Promise<Supervisor>, clock: Clock) {
    this.#start = start;
    this.#clock = clock;
  }

  get current(): Supervisor {
    if (this.#current && !this.#current.lost.aborted) return this.#current;
    throw new CiError('unavailable', 'Cannot run a task as the supervisor process was lost and is being started again');
  }

  get isolation(): Place | undefined {
    return this.#current?.isolation;
  }

  get isRunning(): boolean {
    return this.#current?.lost.aborted === false;
  }

  async begin(): Promise<void> {
    this.#starting = this.#start();
    this.#current = await this.#starting;
    if (this.#renewal) this.#current.renewed(this.#renewal);
  }

  /** Passes on the last acknowledged renewal, also to a supervisor that is started later. */
  renewed(renewal: Renewal): void {
    this.#renewal = renewal;
    this.#current?.renewed(renewal);
  }

  /** Starts a new supervisor whenever one is lost, until the signal fires. */
  async keep(onLost: () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await firesWithin(this.#current?.lost, signal);
      if (signal.aborted) return;
      onLost();
      await this.#clock.sleep(RESTART_PAUSE_MS, signal).catch(() => undefined);
      if (!signal.aborted) await this.begin();
    }
  }

  /** Also of one that is still being started. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#starting?.catch(() => undefined);
    await this.#current?.[Symbol.asyncDispose]();
  }
}

function firesWithin(lost: AbortSignal | undefined, signal: AbortSignal): Promise<void> {
  if (!lost || lost.aborted || signal.aborted) return Promise.resolve();
  const either = AbortSignal.any([lost, signal]);
  return new Promise(resolve => either.addEventListener('abort', () => resolve(), { once: true }));
}
