/** What a HorizontalPodAutoscaler is told of itself: one External metric with a target of type AverageValue. */
export interface HpaOptions {
  readonly min: number;
  readonly max: number;
  readonly averageValue: number;
  /** How long it remembers what it would have done, before it does with fewer. Default: 5 min. */
  readonly stabilizationMs?: number;
  /** Of a policy of scaling up: 100% or 4 pods, whichever is more. Default: 15 s. */
  readonly periodMs?: number;
}

const TOLERANCE = 0.1;
const MOST_AT_ONCE = 4;

/**
 * The documented algorithm of the HorizontalPodAutoscaler, with its default behavior: called once each sync. A metric that cannot be
 * had changes nothing.
 */
export class SimulatedHpa {
  readonly #options: Required<HpaOptions>;
  /** What it would have done of late, and how many there were. */
  #recommended: { readonly at: number; readonly replicas: number }[] = [];
  #grown: { readonly at: number; readonly by: number }[] = [];

  constructor(options: HpaOptions) {
    this.#options = { stabilizationMs: 300_000, periodMs: 15_000, ...options };
  }

  /**
   * How many there are to be.
   * @param values of the metric, all that its selector has found; undefined when it could not be had
   */
  sync(now: number, replicas: number, values: readonly number[] | undefined): number {
    const { min, max, stabilizationMs } = this.#options;
    // Nothing listed is an error too.
    if (!values || values.length === 0) return replicas;
    const desired = this.#desired(
      replicas,
      values.reduce((sum, value) => sum + value, 0),
    );
    this.#recommended = this.#recommended.filter(({ at }) => at > now - stabilizationMs);
    this.#recommended.push({ at: now, replicas: desired });
    const most = Math.max(...this.#recommended.map(one => one.replicas));
    // Scaling up is not stabilized: what is wanted now. Scaling down does with what was enough all the time.
    const stabilized = desired > replicas ? desired : Math.min(replicas, most);
    const limited = Math.min(stabilized, this.#upTo(now, replicas));
    const next = Math.min(max, Math.max(min, limited));
    if (next > replicas) this.#grown.push({ at: now, by: next - replicas });
    return next;
  }

  #desired(replicas: number, sum: number): number {
    const { averageValue } = this.#options;
    const ratio = sum / (averageValue * replicas);
    return Math.abs(1 - ratio) <= TOLERANCE ? replicas : Math.ceil(sum / averageValue);
  }

  #upTo(now: number, replicas: number): number {
    this.#grown = this.#grown.filter(({ at }) => at > now - this.#options.periodMs);
    const before = replicas - this.#grown.reduce((sum, { by }) => sum + by, 0);
    return Math.max(before * 2, before + MOST_AT_ONCE);
  }
}
